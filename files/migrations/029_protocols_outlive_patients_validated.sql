-- Migration: 029_protocols_outlive_patients_validated
-- Description: Validates the foreign keys of 028 for the rows from before
-- Depends on: 028
-- No row can be in the way: until 028 the foreign keys with CASCADE held for all of them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE patient_protocols VALIDATE CONSTRAINT patient_protocols_patient_id_fkey;
ALTER TABLE discharge_plans VALIDATE CONSTRAINT discharge_plans_patient_id_fkey;
ALTER TABLE discharge_summaries VALIDATE CONSTRAINT discharge_summaries_discharge_plan_id_fkey;

COMMENT ON CONSTRAINT patient_protocols_patient_id_fkey ON patient_protocols IS
    'A patient with protocols cannot be deleted / Không xóa bệnh nhân còn hồ sơ';
COMMENT ON CONSTRAINT discharge_plans_patient_id_fkey ON discharge_plans IS
    'A patient with discharge plans cannot be deleted / Không xóa bệnh nhân còn hồ sơ';
COMMENT ON CONSTRAINT discharge_summaries_discharge_plan_id_fkey ON discharge_summaries IS
    'A discharge plan with a summary cannot be deleted / Không xóa kế hoạch còn bản tóm tắt';
