-- Migration: 033_values_of_protocols_validated
-- Description: Validates the checks of 032 for the rows from before
-- Depends on: 032
-- 032 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE clinical_protocols VALIDATE CONSTRAINT chk_clinical_protocols_numbers;
ALTER TABLE patient_protocols VALIDATE CONSTRAINT chk_patient_protocols_numbers;
ALTER TABLE patient_protocols VALIDATE CONSTRAINT chk_patient_protocols_dates;
ALTER TABLE patient_protocols VALIDATE CONSTRAINT chk_patient_protocols_current_phase;

COMMENT ON CONSTRAINT chk_clinical_protocols_numbers ON clinical_protocols IS
    'A protocol has sessions, and they take time / Các số lớn hơn 0';
COMMENT ON CONSTRAINT chk_patient_protocols_numbers ON patient_protocols IS
    'Sessions done, and what differs from the protocol / Số buổi không âm';
COMMENT ON CONSTRAINT chk_patient_protocols_dates ON patient_protocols IS
    'A protocol ends after it begins / Ngày kết thúc không trước ngày bắt đầu';
COMMENT ON CONSTRAINT chk_patient_protocols_current_phase ON patient_protocols IS
    'Phases of a protocol / Giai đoạn';

COMMENT ON COLUMN patient_protocols.current_phase IS 'initial, intermediate or advanced / Giai đoạn';
