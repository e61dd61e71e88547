-- Rollback: 029_protocols_outlive_patients_validated
-- Description: The foreign keys of 028 hold for new rows only again
-- Lost: nothing.

ALTER TABLE discharge_summaries
    DROP CONSTRAINT discharge_summaries_discharge_plan_id_fkey,
    ADD CONSTRAINT discharge_summaries_discharge_plan_id_fkey
        FOREIGN KEY (discharge_plan_id) REFERENCES discharge_plans (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE discharge_plans
    DROP CONSTRAINT discharge_plans_patient_id_fkey,
    ADD CONSTRAINT discharge_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE patient_protocols
    DROP CONSTRAINT patient_protocols_patient_id_fkey,
    ADD CONSTRAINT patient_protocols_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;
