-- Migration: 028_protocols_outlive_patients
-- Description: A patient with protocols or discharge plans, and a discharge plan with a summary, cannot be deleted
-- Depends on: 008, 009
-- As 016 for the tables of 002 to 004. A signed discharge summary does not go with its plan.
-- Parts of one record still go with it: the lines of an invoice, the answers of a checklist.
-- Each statement exchanges a foreign key for one that is NOT VALID: it holds for new rows at once, and no row is read.
-- Locks: ACCESS EXCLUSIVE on the table and on patients or discharge_plans, for milliseconds.
-- squawk-ignore-file ban-drop-constraint

ALTER TABLE patient_protocols
    DROP CONSTRAINT patient_protocols_patient_id_fkey,
    ADD CONSTRAINT patient_protocols_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE discharge_plans
    DROP CONSTRAINT discharge_plans_patient_id_fkey,
    ADD CONSTRAINT discharge_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE RESTRICT NOT VALID;

ALTER TABLE discharge_summaries
    DROP CONSTRAINT discharge_summaries_discharge_plan_id_fkey,
    ADD CONSTRAINT discharge_summaries_discharge_plan_id_fkey
        FOREIGN KEY (discharge_plan_id) REFERENCES discharge_plans (id) ON DELETE RESTRICT NOT VALID;
