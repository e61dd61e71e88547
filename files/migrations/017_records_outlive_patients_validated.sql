-- Migration: 017_records_outlive_patients_validated
-- Description: Validates the foreign keys of 016 for the rows from before
-- Depends on: 016
-- No row can be in the way: until 016 the foreign keys with CASCADE held for all of them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE treatment_plans VALIDATE CONSTRAINT treatment_plans_patient_id_fkey;
ALTER TABLE treatment_sessions VALIDATE CONSTRAINT treatment_sessions_patient_id_fkey;
ALTER TABLE visit_checklists VALIDATE CONSTRAINT visit_checklists_patient_id_fkey;
ALTER TABLE appointments VALIDATE CONSTRAINT appointments_patient_id_fkey;
ALTER TABLE appointments VALIDATE CONSTRAINT appointments_clinic_id_fkey;

COMMENT ON CONSTRAINT treatment_plans_patient_id_fkey ON treatment_plans IS
    'A patient with treatment plans cannot be deleted / Không xóa bệnh nhân còn hồ sơ';
COMMENT ON CONSTRAINT treatment_sessions_patient_id_fkey ON treatment_sessions IS
    'A patient with treatment sessions cannot be deleted / Không xóa bệnh nhân còn hồ sơ';
COMMENT ON CONSTRAINT visit_checklists_patient_id_fkey ON visit_checklists IS
    'A patient with checklists cannot be deleted / Không xóa bệnh nhân còn hồ sơ';
COMMENT ON CONSTRAINT appointments_patient_id_fkey ON appointments IS
    'A patient with appointments cannot be deleted / Không xóa bệnh nhân còn lịch hẹn';
COMMENT ON CONSTRAINT appointments_clinic_id_fkey ON appointments IS
    'A clinic with appointments cannot be deleted / Không xóa phòng khám còn lịch hẹn';
