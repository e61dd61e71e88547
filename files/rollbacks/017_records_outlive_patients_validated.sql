-- Rollback: 017_records_outlive_patients_validated
-- Description: The foreign keys of 016 hold for new rows only again
-- Lost: nothing.

ALTER TABLE appointments
    DROP CONSTRAINT appointments_patient_id_fkey,
    DROP CONSTRAINT appointments_clinic_id_fkey,
    ADD CONSTRAINT appointments_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID,
    ADD CONSTRAINT appointments_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE visit_checklists
    DROP CONSTRAINT visit_checklists_patient_id_fkey,
    ADD CONSTRAINT visit_checklists_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE treatment_sessions
    DROP CONSTRAINT treatment_sessions_patient_id_fkey,
    ADD CONSTRAINT treatment_sessions_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE treatment_plans
    DROP CONSTRAINT treatment_plans_patient_id_fkey,
    ADD CONSTRAINT treatment_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;
