-- Rollback: 040_scores_of_patients
-- Description: Scores may name patients and sessions that do not exist again
-- Lost: nothing.

DO $each_partition$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass ORDER BY 1
    LOOP
        EXECUTE format(
            'ALTER TABLE %s DROP CONSTRAINT IF EXISTS outcome_measures_treatment_session_id_fkey, '
            'DROP CONSTRAINT IF EXISTS outcome_measures_patient_id_fkey', partition);
    END LOOP;
END
$each_partition$;
