-- Migration: 035_cards_of_policies_validated
-- Description: Validates the checks of 034 for the rows from before
-- Depends on: 034
-- 034 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_bhyt_prefix_of_card;
ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_bhyt_total;
ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_bhxh_number_format;

COMMENT ON CONSTRAINT chk_bhyt_prefix_of_card ON insurance_info IS
    'The card begins with its prefix / Mã đối tượng là phần đầu của số thẻ';
COMMENT ON CONSTRAINT chk_bhyt_total ON insurance_info IS
    'Insurance and patient together pay the whole price / Tổng hai tỷ lệ là 100';
COMMENT ON CONSTRAINT chk_bhxh_number_format ON insurance_info IS
    'Ten digits; null: not known / Mười chữ số';
