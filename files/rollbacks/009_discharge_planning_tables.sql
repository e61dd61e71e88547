-- Rollback: 009_discharge_planning_tables
-- Description: Drops discharge plans and discharge summaries
-- Lost: every discharge plan and every discharge summary, also signed ones.

DROP TABLE IF EXISTS discharge_summaries CASCADE;
DROP TABLE IF EXISTS discharge_plans CASCADE;
