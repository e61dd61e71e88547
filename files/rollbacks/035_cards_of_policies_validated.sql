-- Rollback: 035_cards_of_policies_validated
-- Description: The checks of 034 hold for new and changed rows only again
-- Lost: nothing.

ALTER TABLE insurance_info
    DROP CONSTRAINT chk_bhyt_prefix_of_card,
    DROP CONSTRAINT chk_bhyt_total,
    DROP CONSTRAINT chk_bhxh_number_format,
    ADD CONSTRAINT chk_bhyt_prefix_of_card
        CHECK (left(bhyt_card_number, length(bhyt_prefix_code)) = bhyt_prefix_code) NOT VALID,
    ADD CONSTRAINT chk_bhyt_total CHECK (bhyt_coverage_percent + bhyt_copay_rate = 100) NOT VALID,
    ADD CONSTRAINT chk_bhxh_number_format CHECK (bhxh_number ~ '^[0-9]{10}$') NOT VALID;
