-- Rollback: 002_clinical_schema
-- Description: Drops treatment plans and treatment sessions
-- Lost: every treatment plan and every treatment session.
-- appointments and invoices keep the ids of plans and sessions that no longer exist.
-- Fails while 003, 008 or 009 stand.

DROP TABLE IF EXISTS treatment_sessions;
DROP TABLE IF EXISTS treatment_plans;

DROP TYPE IF EXISTS session_status;
DROP TYPE IF EXISTS treatment_plan_status;
