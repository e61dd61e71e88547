"""A PostgreSQL server in one folder, without root."""
