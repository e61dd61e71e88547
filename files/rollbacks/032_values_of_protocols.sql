-- Rollback: 032_values_of_protocols
-- Description: Accepts those values again
-- Lost: nothing.

ALTER TABLE patient_protocols
    DROP CONSTRAINT IF EXISTS chk_patient_protocols_numbers,
    DROP CONSTRAINT IF EXISTS chk_patient_protocols_dates,
    DROP CONSTRAINT IF EXISTS chk_patient_protocols_current_phase;

ALTER TABLE clinical_protocols
    DROP CONSTRAINT IF EXISTS chk_clinical_protocols_numbers;
