-- Migration: 023_one_active_primary_insurance
-- Description: A patient has one active primary insurance at most
-- Depends on: 001, 021
-- Transactional: no
-- 021 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE on insurance_info; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE UNIQUE INDEX CONCURRENTLY uq_insurance_active_primary ON insurance_info (patient_id)
    WHERE is_primary AND is_active;

COMMENT ON INDEX uq_insurance_active_primary IS
    'One active primary insurance for each patient / Mỗi bệnh nhân có một bảo hiểm chính đang hiệu lực';
