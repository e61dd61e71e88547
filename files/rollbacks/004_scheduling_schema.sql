-- Rollback: 004_scheduling_schema
-- Description: Drops appointments and the search for conflicts
-- Lost: every appointment, past and future.
-- treatment_sessions keeps the ids of appointments that no longer exist.

DROP FUNCTION IF EXISTS check_appointment_conflict(UUID, DATE, TIME, TIME, UUID);

DROP TABLE IF EXISTS appointments;

DROP TYPE IF EXISTS recurrence_pattern;
DROP TYPE IF EXISTS appointment_status;
DROP TYPE IF EXISTS appointment_type;
