-- Migration: 024_indexes_of_references
-- Description: Indexes on the foreign keys of visits that a deletion or a join walks, and that had none
-- Depends on: 002, 003, 004
-- Transactional: no
-- Mostly null, so that each index holds only the rows with a value.
-- No index: created_by and updated_by of all tables. They name the author, users with records are switched off
-- (is_active) and not deleted, and an index on each would cost every write.
-- Locks: SHARE UPDATE EXCLUSIVE on one table at a time; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE INDEX CONCURRENTLY idx_appointments_rescheduled_from ON appointments (rescheduled_from_id)
    WHERE rescheduled_from_id IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_appointments_rescheduled_to ON appointments (rescheduled_to_id)
    WHERE rescheduled_to_id IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_appointments_checked_in_by ON appointments (checked_in_by)
    WHERE checked_in_by IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_appointments_checked_out_by ON appointments (checked_out_by)
    WHERE checked_out_by IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_appointments_cancelled_by ON appointments (cancelled_by)
    WHERE cancelled_by IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_sessions_cosigner_id ON treatment_sessions (cosigner_id)
    WHERE cosigner_id IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_checklist_templates_previous ON checklist_templates (previous_version_id)
    WHERE previous_version_id IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_visit_checklists_locked_by ON visit_checklists (locked_by)
    WHERE locked_by IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_visit_checklists_reviewed_by ON visit_checklists (reviewed_by)
    WHERE reviewed_by IS NOT NULL;
