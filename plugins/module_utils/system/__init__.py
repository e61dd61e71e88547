"""A PostgreSQL server from packages, under systemd, and programs on its host."""
