-- Rollback: 030_values_of_billing
-- Description: Accepts those values again
-- Lost: nothing.

ALTER TABLE payments
    DROP CONSTRAINT IF EXISTS chk_payments_amount,
    DROP CONSTRAINT IF EXISTS chk_payments_refund,
    DROP CONSTRAINT IF EXISTS chk_payments_status;

ALTER TABLE invoice_line_items
    DROP CONSTRAINT IF EXISTS chk_invoice_items_amounts,
    DROP CONSTRAINT IF EXISTS chk_invoice_items_insurance;

ALTER TABLE invoices
    DROP CONSTRAINT IF EXISTS chk_invoices_amounts,
    DROP CONSTRAINT IF EXISTS chk_invoices_shares,
    DROP CONSTRAINT IF EXISTS chk_invoices_bhyt_claim_status;

ALTER TABLE pt_service_codes
    DROP CONSTRAINT IF EXISTS chk_service_codes_amounts,
    DROP CONSTRAINT IF EXISTS chk_service_codes_bhyt_rate;
