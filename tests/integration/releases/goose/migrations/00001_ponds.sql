-- +goose Up
-- +goose StatementBegin
CREATE TABLE ponds (id int PRIMARY KEY, depth int);
-- +goose StatementEnd

-- +goose Down
DROP TABLE ponds;
