-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY ponds_depth ON ponds (depth);

-- +goose Down
DROP INDEX ponds_depth;
