-- Rollback: 018_values_of_visits
-- Description: Accepts those values again
-- Lost: nothing.

ALTER TABLE visit_checklists
    DROP CONSTRAINT IF EXISTS chk_visit_checklists_progress;

ALTER TABLE treatment_sessions
    DROP CONSTRAINT IF EXISTS chk_treatment_sessions_times,
    DROP CONSTRAINT IF EXISTS chk_treatment_sessions_duration;

ALTER TABLE treatment_plans
    DROP CONSTRAINT IF EXISTS chk_treatment_plans_dates,
    DROP CONSTRAINT IF EXISTS chk_treatment_plans_frequency,
    DROP CONSTRAINT IF EXISTS chk_treatment_plans_sessions;

ALTER TABLE insurance_info
    DROP CONSTRAINT IF EXISTS chk_insurance_coverage_range,
    DROP CONSTRAINT IF EXISTS chk_insurance_copay_amount,
    DROP CONSTRAINT IF EXISTS chk_insurance_valid_dates,
    DROP CONSTRAINT IF EXISTS chk_insurance_verification_status;

ALTER TABLE appointments
    DROP CONSTRAINT IF EXISTS chk_appointments_times,
    DROP CONSTRAINT IF EXISTS chk_appointments_duration;
