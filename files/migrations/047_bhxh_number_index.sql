-- Migration: 047_bhxh_number_index
-- Description: Index that finds an insurance by the social insurance number
-- Depends on: 044
-- Transactional: no
-- Locks: SHARE UPDATE EXCLUSIVE on insurance_info; reading and writing go on.

CREATE INDEX CONCURRENTLY idx_insurance_bhxh_number ON insurance_info (bhxh_number)
    WHERE bhxh_number IS NOT NULL;
