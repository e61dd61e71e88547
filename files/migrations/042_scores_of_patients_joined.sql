-- Migration: 042_scores_of_patients_joined
-- Description: Joins the foreign keys of 040 to keys of outcome_measures, which new partitions get, too
-- Depends on: 041
-- PostgreSQL finds the validated key of each partition and takes it over: no row is read.
-- Locks: SHARE ROW EXCLUSIVE on outcome_measures, its partitions, patients and treatment_sessions, for milliseconds.
-- squawk-ignore-file constraint-missing-not-valid, adding-foreign-key-constraint

ALTER TABLE outcome_measures
    ADD CONSTRAINT outcome_measures_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT;

ALTER TABLE outcome_measures
    ADD CONSTRAINT outcome_measures_treatment_session_id_fkey
        FOREIGN KEY (treatment_session_id) REFERENCES treatment_sessions (id) ON DELETE RESTRICT;

COMMENT ON CONSTRAINT outcome_measures_patient_id_fkey ON outcome_measures IS
    'A patient with scores cannot be deleted / Không xóa bệnh nhân còn kết quả đo';
COMMENT ON CONSTRAINT outcome_measures_treatment_session_id_fkey ON outcome_measures IS
    'A session with scores cannot be deleted / Không xóa buổi điều trị còn kết quả đo';
