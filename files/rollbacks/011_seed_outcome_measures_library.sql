-- Rollback: 011_seed_outcome_measures_library
-- Description: Deletes the eight seeded outcome measures
-- Lost: the eight measures, with edits that a clinic made to them. Other measures stay.
-- Fails while outcome_measures has scores of one of them: scores are never deleted here.

DELETE FROM outcome_measures_library
WHERE measure_type IN ('VAS', 'NDI', 'ODI', 'LEFS', 'DASH', 'QuickDASH', 'PSFS', 'FIM');
