-- Migration: 031_values_of_billing_validated
-- Description: Validates the checks of 030 for the rows from before
-- Depends on: 030
-- 030 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE pt_service_codes VALIDATE CONSTRAINT chk_service_codes_amounts;
ALTER TABLE pt_service_codes VALIDATE CONSTRAINT chk_service_codes_bhyt_rate;
ALTER TABLE invoices VALIDATE CONSTRAINT chk_invoices_amounts;
ALTER TABLE invoices VALIDATE CONSTRAINT chk_invoices_shares;
ALTER TABLE invoices VALIDATE CONSTRAINT chk_invoices_bhyt_claim_status;
ALTER TABLE invoice_line_items VALIDATE CONSTRAINT chk_invoice_items_amounts;
ALTER TABLE invoice_line_items VALIDATE CONSTRAINT chk_invoice_items_insurance;
ALTER TABLE payments VALIDATE CONSTRAINT chk_payments_amount;
ALTER TABLE payments VALIDATE CONSTRAINT chk_payments_refund;
ALTER TABLE payments VALIDATE CONSTRAINT chk_payments_status;

COMMENT ON CONSTRAINT chk_service_codes_amounts ON pt_service_codes IS
    'Price and minutes / Đơn giá không âm, thời lượng lớn hơn 0';
COMMENT ON CONSTRAINT chk_service_codes_bhyt_rate ON pt_service_codes IS
    'A share, in percent / Tỷ lệ từ 0 đến 100';
COMMENT ON CONSTRAINT chk_invoices_amounts ON invoices IS
    'Amounts of the invoice / Số tiền không âm';
COMMENT ON CONSTRAINT chk_invoices_shares ON invoices IS
    'Amounts by payer / Số tiền không âm';
COMMENT ON CONSTRAINT chk_invoices_bhyt_claim_status ON invoices IS
    'States of the claim / Trạng thái hồ sơ thanh toán BHYT';
COMMENT ON CONSTRAINT chk_invoice_items_amounts ON invoice_line_items IS
    'Quantity and amounts / Số lượng lớn hơn 0, số tiền không âm';
COMMENT ON CONSTRAINT chk_invoice_items_insurance ON invoice_line_items IS
    'The insurer pays no more than the price / Bảo hiểm chi trả không quá thành tiền';
COMMENT ON CONSTRAINT chk_payments_amount ON payments IS
    'A refund is refund_amount, not a negative payment / Số tiền không âm';
COMMENT ON CONSTRAINT chk_payments_refund ON payments IS
    'No more is refunded than was paid / Hoàn tiền không quá số đã trả';
COMMENT ON CONSTRAINT chk_payments_status ON payments IS
    'States of a payment / Trạng thái thanh toán';

COMMENT ON COLUMN payments.status IS 'pending, completed, refunded or failed / Trạng thái thanh toán';
