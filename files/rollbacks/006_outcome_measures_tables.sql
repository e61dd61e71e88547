-- Rollback: 006_outcome_measures_tables
-- Description: Drops outcome measures and their library
-- Lost: every score of every year, and the library with the measures that a clinic added.

DROP TABLE IF EXISTS outcome_measures CASCADE;
DROP TABLE IF EXISTS outcome_measures_library CASCADE;
