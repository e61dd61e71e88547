-- Migration: 034_cards_of_policies
-- Description: Card, prefix and shares of a policy agree; a column for the social insurance number
-- Depends on: 005
-- Since 2021 a card may show only the 10 digits of the social insurance number (BHXH). A column beside the card holds them:
-- text, as they may begin with zeros. Whose card has 15 characters may have it, too.
-- Coverage and copay are asked for together only: one of them alone is accepted, as before.
-- Rows in the way are counted first, and then nothing is changed. The checks are NOT VALID: they hold for new rows
-- and for changed ones at once. 035 validates them for the others.
-- Locks: ACCESS EXCLUSIVE on each table, for milliseconds; the counting blocks nobody.

DO $rows_in_the_way$
DECLARE
    rule       record;
    in_the_way bigint;
    counted    text[];
    find       text[];
BEGIN
    FOR rule IN
        SELECT * FROM (VALUES
            ('insurance_info', 'left(bhyt_card_number, length(bhyt_prefix_code)) = bhyt_prefix_code'),
            ('insurance_info', 'bhyt_coverage_percent + bhyt_copay_rate = 100')
        ) AS rules (relation, holds)
    LOOP
        EXECUTE format('SELECT count(*) FROM %I WHERE NOT (%s)', rule.relation, rule.holds) INTO in_the_way;
        IF in_the_way > 0 THEN
            counted := counted || format('%s of %s', in_the_way, rule.relation);
            find := find || format('SELECT id FROM %s WHERE NOT (%s)', rule.relation, rule.holds);
        END IF;
    END LOOP;
    IF counted IS NOT NULL THEN
        RAISE EXCEPTION 'rows hold values that cannot be: %', array_to_string(counted, ', ') USING
            ERRCODE = 'check_violation', HINT = 'Correct them. Find them: ' || array_to_string(find, '; ');
    END IF;
END
$rows_in_the_way$;

ALTER TABLE insurance_info
    ADD COLUMN bhxh_number VARCHAR(10),
    ADD CONSTRAINT chk_bhxh_number_format CHECK (bhxh_number ~ '^[0-9]{10}$') NOT VALID,
    ADD CONSTRAINT chk_bhyt_prefix_of_card
        CHECK (left(bhyt_card_number, length(bhyt_prefix_code)) = bhyt_prefix_code) NOT VALID,
    ADD CONSTRAINT chk_bhyt_total CHECK (bhyt_coverage_percent + bhyt_copay_rate = 100) NOT VALID;

COMMENT ON COLUMN insurance_info.bhxh_number IS
    'Social insurance number, 10 digits; null: not known / Mã số BHXH';
