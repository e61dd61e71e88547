-- migrate:up
ALTER TABLE ponds ADD depth int NOT NULL DEFAULT 2;

-- migrate:down
ALTER TABLE ponds DROP depth;
