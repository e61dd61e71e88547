-- Rollback: 019_values_of_visits_validated
-- Description: The checks of 018 hold for new and changed rows only again
-- Lost: nothing.

ALTER TABLE visit_checklists
    DROP CONSTRAINT chk_visit_checklists_progress,
    ADD CONSTRAINT chk_visit_checklists_progress CHECK (progress_percentage BETWEEN 0 AND 100) NOT VALID;

ALTER TABLE treatment_sessions
    DROP CONSTRAINT chk_treatment_sessions_times,
    DROP CONSTRAINT chk_treatment_sessions_duration,
    ADD CONSTRAINT chk_treatment_sessions_times CHECK (actual_end_time >= actual_start_time) NOT VALID,
    ADD CONSTRAINT chk_treatment_sessions_duration CHECK (duration_minutes >= 0) NOT VALID;

ALTER TABLE treatment_plans
    DROP CONSTRAINT chk_treatment_plans_dates,
    DROP CONSTRAINT chk_treatment_plans_frequency,
    DROP CONSTRAINT chk_treatment_plans_sessions,
    ADD CONSTRAINT chk_treatment_plans_dates CHECK (end_date >= start_date) NOT VALID,
    ADD CONSTRAINT chk_treatment_plans_frequency
        CHECK (frequency_per_week > 0 AND session_duration_minutes > 0) NOT VALID,
    ADD CONSTRAINT chk_treatment_plans_sessions
        CHECK (sessions_completed >= 0 AND total_sessions_planned >= 0 AND authorized_sessions >= 0) NOT VALID;

ALTER TABLE insurance_info
    DROP CONSTRAINT chk_insurance_coverage_range,
    DROP CONSTRAINT chk_insurance_copay_amount,
    DROP CONSTRAINT chk_insurance_valid_dates,
    DROP CONSTRAINT chk_insurance_verification_status,
    ADD CONSTRAINT chk_insurance_coverage_range CHECK (coverage_percentage BETWEEN 0 AND 100) NOT VALID,
    ADD CONSTRAINT chk_insurance_copay_amount CHECK (copay_amount >= 0) NOT VALID,
    ADD CONSTRAINT chk_insurance_valid_dates CHECK (valid_to >= valid_from) NOT VALID,
    ADD CONSTRAINT chk_insurance_verification_status
        CHECK (verification_status::text IN ('pending', 'verified', 'failed', 'rejected', 'expired')) NOT VALID;

ALTER TABLE appointments
    DROP CONSTRAINT chk_appointments_times,
    DROP CONSTRAINT chk_appointments_duration,
    ADD CONSTRAINT chk_appointments_times CHECK (end_time > start_time) NOT VALID,
    ADD CONSTRAINT chk_appointments_duration CHECK (duration_minutes > 0) NOT VALID;
