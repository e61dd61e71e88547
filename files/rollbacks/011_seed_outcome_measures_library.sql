-- Rollback: 011_seed_outcome_measures_library
-- Description: Deletes the eight seeded outcome measures; scores of patients stay, and refer to none of them any more
-- Lost: the eight measures, with edits that a clinic made to them, and the reference to one of them in each score. The
-- score keeps its measure_type. Other measures stay. Rolled back together with 006, it does nothing: the tables go.

UPDATE outcome_measures SET library_id = NULL
WHERE library_id IN (
    SELECT id FROM outcome_measures_library
    WHERE measure_type IN ('VAS', 'NDI', 'ODI', 'LEFS', 'DASH', 'QuickDASH', 'PSFS', 'FIM')
);

DELETE FROM outcome_measures_library
WHERE measure_type IN ('VAS', 'NDI', 'ODI', 'LEFS', 'DASH', 'QuickDASH', 'PSFS', 'FIM');
