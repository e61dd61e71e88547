-- Migration: 040_scores_of_patients
-- Description: Scores refer to a patient, and to a session where they name one
-- Depends on: 002, 006, 039
-- A patient or a session with scores cannot be deleted from here on.
-- Rows in the way are counted first, and then nothing is changed: scores of patients or sessions that do not exist.
-- PostgreSQL 16 has no NOT VALID foreign key on a partitioned table. So each partition gets its own, which holds for new
-- rows at once; 041 validates them, and 042 makes them one key of the whole table.
-- Locks: SHARE ROW EXCLUSIVE on outcome_measures, its partitions, patients and treatment_sessions, for milliseconds; the
-- counting blocks nobody. All are taken first and in the order of an application, which would be in a deadlock otherwise:
-- its prepared statements lock the partitions by year, and ALTER TABLE goes through them one after the other.

DO $rows_in_the_way$
DECLARE
    without_patient bigint;
    without_session bigint;
BEGIN
    SELECT count(*) INTO without_patient
    FROM outcome_measures AS m
    WHERE NOT EXISTS (SELECT FROM patients AS p WHERE p.id = m.patient_id);
    SELECT count(*) INTO without_session
    FROM outcome_measures AS m
    WHERE treatment_session_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM treatment_sessions AS s WHERE s.id = m.treatment_session_id);
    IF without_patient + without_session > 0 THEN
        RAISE EXCEPTION '% scores have a patient and % a session that does not exist', without_patient, without_session
        USING
            ERRCODE = 'foreign_key_violation',
            HINT = 'Correct them, or delete them. Find them: SELECT id, measurement_date FROM outcome_measures AS m '
                   'WHERE NOT EXISTS (SELECT FROM patients AS p WHERE p.id = m.patient_id) OR treatment_session_id IS '
                   'NOT NULL AND NOT EXISTS (SELECT FROM treatment_sessions AS s WHERE s.id = m.treatment_session_id)';
    END IF;
END
$rows_in_the_way$;

DO $each_partition$
DECLARE
    partition regclass;
BEGIN
    LOCK TABLE patients, treatment_sessions, ONLY outcome_measures IN SHARE ROW EXCLUSIVE MODE;
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass ORDER BY 1
    LOOP
        EXECUTE format(
            'ALTER TABLE %s '
            'ADD CONSTRAINT outcome_measures_patient_id_fkey FOREIGN KEY (patient_id) '
            'REFERENCES patients (id) ON DELETE RESTRICT NOT VALID, '
            'ADD CONSTRAINT outcome_measures_treatment_session_id_fkey FOREIGN KEY (treatment_session_id) '
            'REFERENCES treatment_sessions (id) ON DELETE RESTRICT NOT VALID', partition);
    END LOOP;
END
$each_partition$;
