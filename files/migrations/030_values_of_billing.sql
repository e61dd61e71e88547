-- Migration: 030_values_of_billing
-- Description: Refuses negative amounts, impossible shares and unknown states of bills
-- Depends on: 007
-- payments.status was not enforced: pending joins the states in use, for a wallet that has not answered yet.
-- bhyt_claim_status had no list: add a state in a later migration.
-- Rows in the way are counted first, and then nothing is changed. The checks are NOT VALID: they hold for new rows
-- and for changed ones at once. 031 validates them for the others.
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
            ('pt_service_codes',   'unit_price >= 0 AND duration_minutes > 0'),
            ('pt_service_codes',   'bhyt_reimbursement_rate BETWEEN 0 AND 100'),
            ('invoices',           'subtotal_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0'),
            ('invoices',           'insurance_amount >= 0 AND copay_amount >= 0 AND balance_due >= 0'),
            ('invoices',           'bhyt_claim_status::text IN (''draft'', ''pending'', ''submitted'', ''approved'', ''partially_approved'', ''rejected'', ''paid'', ''cancelled'')'),
            ('invoice_line_items', 'quantity > 0 AND unit_price >= 0 AND total_price >= 0'),
            ('invoice_line_items', 'insurance_covered_amount BETWEEN 0 AND total_price'),
            ('payments',           'amount >= 0'),
            ('payments',           'refund_amount BETWEEN 0 AND amount'),
            ('payments',           'status::text IN (''pending'', ''completed'', ''refunded'', ''failed'')')
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

-- 038 makes this unique, without a transaction, in which it could not count.
DO $rows_in_the_way$
DECLARE
    in_the_way bigint;
BEGIN
    SELECT count(*) INTO in_the_way
    FROM (
        SELECT FROM payments WHERE receipt_number IS NOT NULL GROUP BY clinic_id, receipt_number HAVING count(*) > 1
    ) AS receipts_used_again;
    IF in_the_way > 0 THEN
        RAISE EXCEPTION '% receipt numbers were given to several payments of a clinic', in_the_way USING
            ERRCODE = 'unique_violation',
            HINT = 'Give each payment its own. Find them: SELECT clinic_id, receipt_number, array_agg(id) FROM payments '
                   'WHERE receipt_number IS NOT NULL GROUP BY clinic_id, receipt_number HAVING count(*) > 1';
    END IF;
END
$rows_in_the_way$;

ALTER TABLE pt_service_codes
    ADD CONSTRAINT chk_service_codes_amounts CHECK (unit_price >= 0 AND duration_minutes > 0) NOT VALID,
    ADD CONSTRAINT chk_service_codes_bhyt_rate CHECK (bhyt_reimbursement_rate BETWEEN 0 AND 100) NOT VALID;

ALTER TABLE invoices
    ADD CONSTRAINT chk_invoices_amounts
        CHECK (subtotal_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0) NOT VALID,
    ADD CONSTRAINT chk_invoices_shares
        CHECK (insurance_amount >= 0 AND copay_amount >= 0 AND balance_due >= 0) NOT VALID,
    ADD CONSTRAINT chk_invoices_bhyt_claim_status
        CHECK (bhyt_claim_status::text IN ('draft', 'pending', 'submitted', 'approved', 'partially_approved', 'rejected', 'paid', 'cancelled')) NOT VALID;

ALTER TABLE invoice_line_items
    ADD CONSTRAINT chk_invoice_items_amounts CHECK (quantity > 0 AND unit_price >= 0 AND total_price >= 0) NOT VALID,
    ADD CONSTRAINT chk_invoice_items_insurance CHECK (insurance_covered_amount BETWEEN 0 AND total_price) NOT VALID;

ALTER TABLE payments
    ADD CONSTRAINT chk_payments_amount CHECK (amount >= 0) NOT VALID,
    ADD CONSTRAINT chk_payments_refund CHECK (refund_amount BETWEEN 0 AND amount) NOT VALID,
    ADD CONSTRAINT chk_payments_status
        CHECK (status::text IN ('pending', 'completed', 'refunded', 'failed')) NOT VALID;
