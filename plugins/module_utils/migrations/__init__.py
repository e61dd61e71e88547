"""Migration files: read, planned, applied, rolled back, recorded."""
