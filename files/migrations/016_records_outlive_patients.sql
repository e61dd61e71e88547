-- Migration: 016_records_outlive_patients
-- Description: A patient or clinic with plans, sessions, checklists or appointments cannot be deleted
-- Depends on: 001, 002, 003, 004
-- Until now deleting a patient deleted these records in passing (ON DELETE CASCADE), and deleting a clinic its
-- appointments. Now the deletion is refused (23503). Medical records must be kept for years.
-- insurance_info still goes with its patient: it is no clinical record, and a policy that was billed has an invoice,
-- which forbids the deletion.
-- Each statement exchanges a foreign key for one that is NOT VALID: it holds for new rows at once, and no row is read.
-- Old rows were checked by the key that it replaces. 017 validates them without blocking anybody.
-- Locks: ACCESS EXCLUSIVE on the table and on patients or clinics, for milliseconds.
-- squawk-ignore-file ban-drop-constraint

ALTER TABLE treatment_plans
    DROP CONSTRAINT treatment_plans_patient_id_fkey,
    ADD CONSTRAINT treatment_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE treatment_sessions
    DROP CONSTRAINT treatment_sessions_patient_id_fkey,
    ADD CONSTRAINT treatment_sessions_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE visit_checklists
    DROP CONSTRAINT visit_checklists_patient_id_fkey,
    ADD CONSTRAINT visit_checklists_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE appointments
    DROP CONSTRAINT appointments_patient_id_fkey,
    DROP CONSTRAINT appointments_clinic_id_fkey,
    ADD CONSTRAINT appointments_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID,
    ADD CONSTRAINT appointments_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id) ON DELETE RESTRICT NOT VALID;
