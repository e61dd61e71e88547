-- Rollback: 003_checklist_schema
-- Description: Drops checklist templates, visit checklists and their responses
-- Lost: every checklist template, visit checklist and response.

DROP TABLE IF EXISTS visit_checklist_responses;
DROP TABLE IF EXISTS visit_checklists;
DROP TABLE IF EXISTS checklist_templates;

DROP TYPE IF EXISTS checklist_status;
DROP TYPE IF EXISTS body_region;
