-- Rollback: 047_bhxh_number_index
-- Description: Drops the index on the social insurance number
-- Lost: nothing.

DROP INDEX IF EXISTS idx_insurance_bhxh_number;
