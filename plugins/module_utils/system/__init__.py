"""A PostgreSQL server of the packages, under systemd, and programs on its host."""
