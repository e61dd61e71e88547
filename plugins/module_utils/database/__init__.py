"""Roles, database, extensions and privileges."""
