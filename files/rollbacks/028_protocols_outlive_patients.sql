-- Rollback: 028_protocols_outlive_patients
-- Description: Deleting a patient deletes protocols and discharge plans again, and a discharge plan its summaries
-- Lost: nothing now. But from here on DELETE FROM patients erases clinical records without a word.
-- Reads the three tables while writing to them waits.

ALTER TABLE discharge_summaries
    DROP CONSTRAINT discharge_summaries_discharge_plan_id_fkey,
    ADD CONSTRAINT discharge_summaries_discharge_plan_id_fkey
        FOREIGN KEY (discharge_plan_id) REFERENCES discharge_plans (id) ON DELETE CASCADE;

ALTER TABLE discharge_plans
    DROP CONSTRAINT discharge_plans_patient_id_fkey,
    ADD CONSTRAINT discharge_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;

ALTER TABLE patient_protocols
    DROP CONSTRAINT patient_protocols_patient_id_fkey,
    ADD CONSTRAINT patient_protocols_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;
