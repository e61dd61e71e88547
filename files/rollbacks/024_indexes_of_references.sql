-- Rollback: 024_indexes_of_references
-- Description: Drops the indexes on the foreign keys of visits
-- Lost: nothing.

DROP INDEX IF EXISTS
    idx_visit_checklists_reviewed_by,
    idx_visit_checklists_locked_by,
    idx_checklist_templates_previous,
    idx_sessions_cosigner_id,
    idx_appointments_cancelled_by,
    idx_appointments_checked_out_by,
    idx_appointments_checked_in_by,
    idx_appointments_rescheduled_to,
    idx_appointments_rescheduled_from;
