-- Migration: 005_bhyt_insurance_enhancement
-- Description: BHYT card fields on insurance_info
-- Depends on: 001
-- BHYT (bảo hiểm y tế) is the Vietnamese national health insurance.
-- Adding the columns does not rewrite the table: all are null but version, whose default is a constant.
-- The four checks and the two indexes read each row of insurance_info once, and every value is still null:
-- that is quick, also while the table is in use.
-- version: IF NOT EXISTS, as the guide's own rollback of this file leaves that column behind.
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation

ALTER TABLE insurance_info
    ADD COLUMN bhyt_card_number      VARCHAR(15),
    ADD COLUMN bhyt_prefix_code      VARCHAR(5),
    ADD COLUMN bhyt_coverage_percent DECIMAL(5,2),
    ADD COLUMN bhyt_copay_rate       DECIMAL(5,2),
    ADD COLUMN IF NOT EXISTS version INTEGER NOT NULL DEFAULT 1,
    ADD CONSTRAINT chk_bhyt_card_format    CHECK (bhyt_card_number ~ '^[A-Z]{2}[0-9]{13}$'),
    ADD CONSTRAINT chk_bhyt_prefix_format  CHECK (bhyt_prefix_code ~ '^[A-Z]{2}[0-9]{1,2}$'),
    ADD CONSTRAINT chk_bhyt_coverage_range CHECK (bhyt_coverage_percent BETWEEN 0 AND 100),
    ADD CONSTRAINT chk_bhyt_copay_range    CHECK (bhyt_copay_rate BETWEEN 0 AND 100);

CREATE INDEX idx_insurance_bhyt_card_number ON insurance_info (bhyt_card_number)
    WHERE bhyt_card_number IS NOT NULL;
CREATE INDEX idx_insurance_bhyt_prefix ON insurance_info (bhyt_prefix_code)
    WHERE bhyt_prefix_code IS NOT NULL;

COMMENT ON COLUMN insurance_info.bhyt_card_number IS
    'BHYT card number, such as DN1234567890123 / Số thẻ BHYT';
COMMENT ON COLUMN insurance_info.bhyt_prefix_code IS
    'Beneficiary code at the start of the card, such as DN1 / Mã đối tượng';
COMMENT ON COLUMN insurance_info.bhyt_coverage_percent IS
    'Share that BHYT pays, percent / Tỷ lệ BHYT chi trả';
COMMENT ON COLUMN insurance_info.bhyt_copay_rate IS
    'Share that the patient pays, percent / Tỷ lệ đồng chi trả';
COMMENT ON COLUMN insurance_info.version IS 'Counter of edits, for optimistic locking';
COMMENT ON CONSTRAINT chk_bhyt_card_format ON insurance_info IS
    'Two capital letters and 13 digits; null: no card';
COMMENT ON CONSTRAINT chk_bhyt_prefix_format ON insurance_info IS
    'Two capital letters and one or two digits; null: no card';
