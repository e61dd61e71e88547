-- Rollback: 041_scores_of_patients_validated
-- Description: The foreign keys of 040 hold for new rows only again
-- Lost: nothing.

DO $each_partition$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass ORDER BY 1
    LOOP
        EXECUTE format(
            'ALTER TABLE %s '
            'DROP CONSTRAINT IF EXISTS outcome_measures_patient_id_fkey, '
            'DROP CONSTRAINT IF EXISTS outcome_measures_treatment_session_id_fkey, '
            'ADD CONSTRAINT outcome_measures_patient_id_fkey FOREIGN KEY (patient_id) '
            'REFERENCES patients (id) ON DELETE RESTRICT NOT VALID, '
            'ADD CONSTRAINT outcome_measures_treatment_session_id_fkey FOREIGN KEY (treatment_session_id) '
            'REFERENCES treatment_sessions (id) ON DELETE RESTRICT NOT VALID', partition);
    END LOOP;
END
$each_partition$;
