-- Migration: 025_patients_in_vietnamese_order
-- Description: Index for the list of a clinic's patients in Vietnamese order of names
-- Depends on: 001
-- Transactional: no
-- Family name first, then middle and given name, with đ after d and â after ă, as a Vietnamese list has them:
--   SELECT id, last_name_vi, first_name_vi FROM patients WHERE clinic_id = $1
--   ORDER BY last_name_vi COLLATE "vi-VN-x-icu", first_name_vi COLLATE "vi-VN-x-icu" LIMIT 50;
-- After an upgrade of ICU, PostgreSQL warns of another collation version: REINDEX INDEX CONCURRENTLY it then.
-- Locks: SHARE UPDATE EXCLUSIVE on patients; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE INDEX CONCURRENTLY idx_patients_vietnamese_order
    ON patients (clinic_id, last_name_vi COLLATE "vi-VN-x-icu", first_name_vi COLLATE "vi-VN-x-icu");

COMMENT ON INDEX idx_patients_vietnamese_order IS
    'Patients of a clinic in Vietnamese order of names / Bệnh nhân theo thứ tự họ tên tiếng Việt';
