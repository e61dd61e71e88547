-- Rollback: 031_values_of_billing_validated
-- Description: The checks of 030 hold for new and changed rows only again
-- Lost: nothing.

ALTER TABLE payments
    DROP CONSTRAINT chk_payments_amount,
    DROP CONSTRAINT chk_payments_refund,
    DROP CONSTRAINT chk_payments_status,
    ADD CONSTRAINT chk_payments_amount CHECK (amount >= 0) NOT VALID,
    ADD CONSTRAINT chk_payments_refund CHECK (refund_amount BETWEEN 0 AND amount) NOT VALID,
    ADD CONSTRAINT chk_payments_status
        CHECK (status::text IN ('pending', 'completed', 'refunded', 'failed')) NOT VALID;

ALTER TABLE invoice_line_items
    DROP CONSTRAINT chk_invoice_items_amounts,
    DROP CONSTRAINT chk_invoice_items_insurance,
    ADD CONSTRAINT chk_invoice_items_amounts CHECK (quantity > 0 AND unit_price >= 0 AND total_price >= 0) NOT VALID,
    ADD CONSTRAINT chk_invoice_items_insurance CHECK (insurance_covered_amount BETWEEN 0 AND total_price) NOT VALID;

ALTER TABLE invoices
    DROP CONSTRAINT chk_invoices_amounts,
    DROP CONSTRAINT chk_invoices_shares,
    DROP CONSTRAINT chk_invoices_bhyt_claim_status,
    ADD CONSTRAINT chk_invoices_amounts
        CHECK (subtotal_amount >= 0 AND discount_amount >= 0 AND tax_amount >= 0 AND total_amount >= 0) NOT VALID,
    ADD CONSTRAINT chk_invoices_shares
        CHECK (insurance_amount >= 0 AND copay_amount >= 0 AND balance_due >= 0) NOT VALID,
    ADD CONSTRAINT chk_invoices_bhyt_claim_status
        CHECK (bhyt_claim_status::text IN ('draft', 'pending', 'submitted', 'approved', 'partially_approved', 'rejected', 'paid', 'cancelled')) NOT VALID;

ALTER TABLE pt_service_codes
    DROP CONSTRAINT chk_service_codes_amounts,
    DROP CONSTRAINT chk_service_codes_bhyt_rate,
    ADD CONSTRAINT chk_service_codes_amounts CHECK (unit_price >= 0 AND duration_minutes > 0) NOT VALID,
    ADD CONSTRAINT chk_service_codes_bhyt_rate CHECK (bhyt_reimbursement_rate BETWEEN 0 AND 100) NOT VALID;

COMMENT ON COLUMN payments.status IS 'Not enforced; in use: completed, refunded, failed';
