-- Migration: 020_indexes_of_visits
-- Description: Indexes that keep records of visits apart, follow their references, and list patients in Vietnamese order
-- Depends on: 001, 002, 003, 004, 018
-- Transactional: no
-- In one file, as each file without transaction costs a deploy a task of its own; who is interrupted goes on at the next
-- statement.
-- Rows in the way: 018 names the patients with several active primary insurances. id of users is unique by itself.
-- No index: created_by and updated_by of all tables. They name the author, users with records are switched off
-- (is_active) and not deleted, and an index on each would cost every write.
-- After an upgrade of ICU, PostgreSQL warns of another collation version: REINDEX INDEX CONCURRENTLY
-- idx_patients_vietnamese_order then.
-- Locks: SHARE UPDATE EXCLUSIVE on one table at a time; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- The foreign key of 021 refers to it.
CREATE UNIQUE INDEX CONCURRENTLY uq_users_id_clinic ON users (id, clinic_id);

CREATE UNIQUE INDEX CONCURRENTLY uq_insurance_active_primary ON insurance_info (patient_id)
    WHERE is_primary AND is_active;

-- The patients of a clinic as a Vietnamese list has them: family, middle and given name, đ after d, â after ă.
--   SELECT id, last_name_vi, first_name_vi FROM patients WHERE clinic_id = $1
--   ORDER BY last_name_vi COLLATE "vi-VN-x-icu", first_name_vi COLLATE "vi-VN-x-icu" LIMIT 50;
CREATE INDEX CONCURRENTLY idx_patients_vietnamese_order
    ON patients (clinic_id, last_name_vi COLLATE "vi-VN-x-icu", first_name_vi COLLATE "vi-VN-x-icu");

-- Foreign keys that a deletion or a join walks; mostly null, so that an index holds only the rows with a value.
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

COMMENT ON INDEX uq_insurance_active_primary IS
    'One active primary insurance for each patient / Mỗi bệnh nhân có một bảo hiểm chính đang hiệu lực';
COMMENT ON INDEX idx_patients_vietnamese_order IS
    'Patients of a clinic in Vietnamese order of names / Bệnh nhân theo thứ tự họ tên tiếng Việt';
COMMENT ON INDEX idx_appointments_rescheduled_from IS 'Appointments that replace another one / Lịch hẹn thay thế';
COMMENT ON INDEX idx_appointments_rescheduled_to IS 'Appointments that were replaced / Lịch hẹn đã được thay';
COMMENT ON INDEX idx_appointments_checked_in_by IS 'Appointments by who checked in / Người tiếp nhận';
COMMENT ON INDEX idx_appointments_checked_out_by IS 'Appointments by who checked out / Người kết thúc lượt khám';
COMMENT ON INDEX idx_appointments_cancelled_by IS 'Appointments by who cancelled / Người hủy lịch';
COMMENT ON INDEX idx_sessions_cosigner_id IS 'Sessions by who countersigns / Người ký xác nhận';
COMMENT ON INDEX idx_checklist_templates_previous IS 'Templates by the version that they replace / Phiên bản trước';
COMMENT ON INDEX idx_visit_checklists_locked_by IS 'Checklists by who locked them / Người khóa';
COMMENT ON INDEX idx_visit_checklists_reviewed_by IS 'Checklists by who reviewed them / Người duyệt';
