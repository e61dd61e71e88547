CREATE INDEX CONCURRENTLY wards_label_idx ON wards (label);
