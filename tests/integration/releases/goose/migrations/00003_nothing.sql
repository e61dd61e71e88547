-- +goose Up
-- nothing is left to do

-- +goose Down
