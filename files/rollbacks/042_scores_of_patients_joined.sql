-- Rollback: 042_scores_of_patients_joined
-- Description: Parts the foreign keys of outcome_measures into those of its partitions again
-- Lost: nothing. A key goes with those of its partitions; they are made anew, while writing to the scores waits.

ALTER TABLE outcome_measures
    DROP CONSTRAINT outcome_measures_patient_id_fkey,
    DROP CONSTRAINT outcome_measures_treatment_session_id_fkey;

DO $each_partition$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass ORDER BY 1
    LOOP
        EXECUTE format(
            'ALTER TABLE %s '
            'ADD CONSTRAINT outcome_measures_patient_id_fkey FOREIGN KEY (patient_id) '
            'REFERENCES patients (id) ON DELETE RESTRICT, '
            'ADD CONSTRAINT outcome_measures_treatment_session_id_fkey FOREIGN KEY (treatment_session_id) '
            'REFERENCES treatment_sessions (id) ON DELETE RESTRICT', partition);
    END LOOP;
END
$each_partition$;
