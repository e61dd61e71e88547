-- Rollback: 033_values_of_protocols_validated
-- Description: The checks of 032 hold for new and changed rows only again
-- Lost: nothing.

ALTER TABLE patient_protocols
    DROP CONSTRAINT chk_patient_protocols_numbers,
    DROP CONSTRAINT chk_patient_protocols_dates,
    DROP CONSTRAINT chk_patient_protocols_current_phase,
    ADD CONSTRAINT chk_patient_protocols_numbers
        CHECK (sessions_completed >= 0 AND custom_frequency_per_week > 0 AND custom_duration_weeks > 0) NOT VALID,
    ADD CONSTRAINT chk_patient_protocols_dates
        CHECK (target_end_date >= start_date AND actual_end_date >= start_date) NOT VALID,
    ADD CONSTRAINT chk_patient_protocols_current_phase
        CHECK (current_phase::text IN ('initial', 'intermediate', 'advanced')) NOT VALID;

ALTER TABLE clinical_protocols
    DROP CONSTRAINT chk_clinical_protocols_numbers,
    ADD CONSTRAINT chk_clinical_protocols_numbers
        CHECK (frequency_per_week > 0 AND duration_weeks > 0 AND session_duration_minutes > 0) NOT VALID;

COMMENT ON COLUMN patient_protocols.current_phase IS
    'initial, intermediate or advanced; not enforced / Giai đoạn';
