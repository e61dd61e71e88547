-- Migration: 032_values_of_protocols
-- Description: Refuses impossible numbers, dates and phases of protocols
-- Depends on: 008
-- current_phase was not enforced; the phases are those of the exercises of a protocol.
-- Rows in the way are counted first, and then nothing is changed. The checks are NOT VALID: they hold for new rows
-- and for changed ones at once. 033 validates them for the others.
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
            ('clinical_protocols', 'frequency_per_week > 0 AND duration_weeks > 0 AND session_duration_minutes > 0'),
            ('patient_protocols',  'sessions_completed >= 0 AND custom_frequency_per_week > 0 AND custom_duration_weeks > 0'),
            ('patient_protocols',  'target_end_date >= start_date AND actual_end_date >= start_date'),
            ('patient_protocols',  'current_phase::text IN (''initial'', ''intermediate'', ''advanced'')')
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

ALTER TABLE clinical_protocols
    ADD CONSTRAINT chk_clinical_protocols_numbers
        CHECK (frequency_per_week > 0 AND duration_weeks > 0 AND session_duration_minutes > 0) NOT VALID;

ALTER TABLE patient_protocols
    ADD CONSTRAINT chk_patient_protocols_numbers
        CHECK (sessions_completed >= 0 AND custom_frequency_per_week > 0 AND custom_duration_weeks > 0) NOT VALID,
    ADD CONSTRAINT chk_patient_protocols_dates
        CHECK (target_end_date >= start_date AND actual_end_date >= start_date) NOT VALID,
    ADD CONSTRAINT chk_patient_protocols_current_phase
        CHECK (current_phase::text IN ('initial', 'intermediate', 'advanced')) NOT VALID;
