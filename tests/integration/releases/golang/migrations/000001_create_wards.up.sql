BEGIN;

CREATE TABLE wards (
    id bigserial PRIMARY KEY,
    label text NOT NULL
);

COMMIT;
