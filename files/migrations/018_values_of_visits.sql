-- Migration: 018_values_of_visits
-- Description: Refuses impossible times, shares, numbers and states of visits, plans and policies
-- Depends on: 001, 002, 003, 004
-- verification_status had no list: add a state in a later migration. Free text stays free where nobody has a list:
-- appointments.confirmation_status and billing_status, visit_checklists.note_generation_status,
-- treatment_sessions.tolerance.
-- Rows in the way are counted first, and then nothing is changed. The checks are NOT VALID: they hold for new rows
-- and for changed ones at once. 019 validates them for the others.
-- Locks: ACCESS EXCLUSIVE on each table, for milliseconds; the counting blocks nobody.

DO $rows_in_the_way$
DECLARE
    rule       record;
    in_the_way bigint;
    counted    text[];
    find       text[];
BEGIN
    FOR rule IN
        SELECT * FROM (VALUES
            ('appointments',       'end_time > start_time'),
            ('appointments',       'duration_minutes > 0'),
            ('insurance_info',     'coverage_percentage BETWEEN 0 AND 100'),
            ('insurance_info',     'copay_amount >= 0'),
            ('insurance_info',     'valid_to >= valid_from'),
            ('insurance_info',     'verification_status::text IN (''pending'', ''verified'', ''failed'', ''rejected'', ''expired'')'),
            ('treatment_plans',    'end_date >= start_date'),
            ('treatment_plans',    'frequency_per_week > 0 AND session_duration_minutes > 0'),
            ('treatment_plans',    'sessions_completed >= 0 AND total_sessions_planned >= 0 AND authorized_sessions >= 0'),
            ('treatment_sessions', 'actual_end_time >= actual_start_time'),
            ('treatment_sessions', 'duration_minutes >= 0'),
            ('visit_checklists',   'progress_percentage BETWEEN 0 AND 100')
        ) AS rules (relation, holds)
    LOOP
        EXECUTE format('SELECT count(*) FROM %I WHERE NOT (%s)', rule.relation, rule.holds) INTO in_the_way;
        IF in_the_way > 0 THEN
            counted := counted || format('%s of %s', in_the_way, rule.relation);
            find := find || format('SELECT id FROM %s WHERE NOT (%s)', rule.relation, rule.holds);
        END IF;
    END LOOP;
    IF counted IS NOT NULL THEN
        RAISE EXCEPTION 'rows hold values that cannot be: %', array_to_string(counted, ', ') USING
            ERRCODE = 'check_violation', HINT = 'Correct them. Find them: ' || array_to_string(find, '; ');
    END IF;
END
$rows_in_the_way$;

-- 020 makes this unique, without a transaction, in which it could not count.
DO $rows_in_the_way$
DECLARE
    in_the_way bigint;
BEGIN
    SELECT count(*) INTO in_the_way
    FROM (
        SELECT FROM insurance_info WHERE is_primary AND is_active GROUP BY patient_id HAVING count(*) > 1
    ) AS patients_with_several;
    IF in_the_way > 0 THEN
        RAISE EXCEPTION '% patients have several active primary insurances', in_the_way USING
            ERRCODE = 'unique_violation',
            HINT = 'Leave one of each patient primary. Find them: SELECT patient_id, array_agg(id) FROM insurance_info '
                   'WHERE is_primary AND is_active GROUP BY patient_id HAVING count(*) > 1';
    END IF;
END
$rows_in_the_way$;

ALTER TABLE appointments
    ADD CONSTRAINT chk_appointments_times CHECK (end_time > start_time) NOT VALID,
    ADD CONSTRAINT chk_appointments_duration CHECK (duration_minutes > 0) NOT VALID;

ALTER TABLE insurance_info
    ADD CONSTRAINT chk_insurance_coverage_range CHECK (coverage_percentage BETWEEN 0 AND 100) NOT VALID,
    ADD CONSTRAINT chk_insurance_copay_amount CHECK (copay_amount >= 0) NOT VALID,
    ADD CONSTRAINT chk_insurance_valid_dates CHECK (valid_to >= valid_from) NOT VALID,
    ADD CONSTRAINT chk_insurance_verification_status
        CHECK (verification_status::text IN ('pending', 'verified', 'failed', 'rejected', 'expired')) NOT VALID;

ALTER TABLE treatment_plans
    ADD CONSTRAINT chk_treatment_plans_dates CHECK (end_date >= start_date) NOT VALID,
    ADD CONSTRAINT chk_treatment_plans_frequency
        CHECK (frequency_per_week > 0 AND session_duration_minutes > 0) NOT VALID,
    ADD CONSTRAINT chk_treatment_plans_sessions
        CHECK (sessions_completed >= 0 AND total_sessions_planned >= 0 AND authorized_sessions >= 0) NOT VALID;

ALTER TABLE treatment_sessions
    ADD CONSTRAINT chk_treatment_sessions_times CHECK (actual_end_time >= actual_start_time) NOT VALID,
    ADD CONSTRAINT chk_treatment_sessions_duration CHECK (duration_minutes >= 0) NOT VALID;

ALTER TABLE visit_checklists
    ADD CONSTRAINT chk_visit_checklists_progress CHECK (progress_percentage BETWEEN 0 AND 100) NOT VALID;
