-- Rollback: 016_records_outlive_patients
-- Description: Deleting a patient deletes plans, sessions, checklists and appointments again
-- Lost: nothing now. But from here on DELETE FROM patients erases clinical records without a word.
-- Reads the four tables while writing to them waits.

ALTER TABLE appointments
    DROP CONSTRAINT appointments_patient_id_fkey,
    DROP CONSTRAINT appointments_clinic_id_fkey,
    ADD CONSTRAINT appointments_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    ADD CONSTRAINT appointments_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id) ON DELETE CASCADE;

ALTER TABLE visit_checklists
    DROP CONSTRAINT visit_checklists_patient_id_fkey,
    ADD CONSTRAINT visit_checklists_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;

ALTER TABLE treatment_sessions
    DROP CONSTRAINT treatment_sessions_patient_id_fkey,
    ADD CONSTRAINT treatment_sessions_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;

ALTER TABLE treatment_plans
    DROP CONSTRAINT treatment_plans_patient_id_fkey,
    ADD CONSTRAINT treatment_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;
