-- Rollback: 020_indexes_of_visits
-- Description: Drops those indexes; a patient may have several active primary insurances again
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
    idx_appointments_rescheduled_from,
    idx_patients_vietnamese_order,
    uq_insurance_active_primary,
    uq_users_id_clinic;
