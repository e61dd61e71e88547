-- Migration: 026_scores_before_2024
-- Description: Scores measured from 1990 to 2023 can be imported
-- Depends on: 006
-- One partition for all of these years: they are imported once, and read by patient.
-- A day before 1990 is still refused: it is more likely a slip than a score.
-- The table is made on its own and attached at the end: CREATE TABLE ... PARTITION OF would stop reading and writing.
-- Locks: SHARE UPDATE EXCLUSIVE on outcome_measures, for milliseconds; reading and writing go on.

CREATE TABLE outcome_measures_before_2024 (
    LIKE outcome_measures INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE
);

COMMENT ON TABLE outcome_measures_before_2024 IS
    'Scores measured before 2024, imported from earlier records / Kết quả đo trước năm 2024';

ALTER TABLE outcome_measures ATTACH PARTITION outcome_measures_before_2024
    FOR VALUES FROM ('1990-01-01') TO ('2024-01-01');
