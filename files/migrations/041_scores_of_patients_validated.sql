-- Migration: 041_scores_of_patients_validated
-- Description: Validates the foreign keys of 040 for the scores from before
-- Depends on: 040
-- 040 names the rows in the way and how to find them. Partitions made since then have validated keys.
-- Locks: SHARE UPDATE EXCLUSIVE on the partitions; reading and writing go on while the rows are read.

DO $each_partition$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT k.conrelid::regclass AS partition, k.conname
        FROM pg_inherits AS i JOIN pg_constraint AS k ON k.conrelid = i.inhrelid
        WHERE i.inhparent = 'outcome_measures'::regclass AND NOT k.convalidated
          AND k.conname IN ('outcome_measures_patient_id_fkey', 'outcome_measures_treatment_session_id_fkey')
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', key.partition, key.conname);
    END LOOP;
END
$each_partition$;
