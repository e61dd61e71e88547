-- Rollback: 034_cards_of_policies
-- Description: Accepts those values again, and drops the social insurance number
-- Lost: the social insurance number of every policy that has one.

ALTER TABLE insurance_info
    DROP CONSTRAINT IF EXISTS chk_bhyt_prefix_of_card,
    DROP CONSTRAINT IF EXISTS chk_bhyt_total,
    DROP COLUMN IF EXISTS bhxh_number;
