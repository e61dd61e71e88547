-- Rollback: 005_bhyt_insurance_enhancement
-- Description: Drops the BHYT card fields of insurance_info
-- Lost: card number, prefix, coverage and copay of every BHYT policy, and the edit counter of every policy.
-- The columns take their checks, indexes and comments with them.

ALTER TABLE insurance_info DROP COLUMN IF EXISTS bhyt_card_number;
ALTER TABLE insurance_info DROP COLUMN IF EXISTS bhyt_prefix_code;
ALTER TABLE insurance_info DROP COLUMN IF EXISTS bhyt_coverage_percent;
ALTER TABLE insurance_info DROP COLUMN IF EXISTS bhyt_copay_rate;
ALTER TABLE insurance_info DROP COLUMN IF EXISTS version;
