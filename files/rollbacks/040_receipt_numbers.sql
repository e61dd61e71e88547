-- Rollback: 040_receipt_numbers
-- Description: A clinic may give a receipt number again
-- Lost: nothing.

DROP INDEX IF EXISTS uq_payments_receipt_number;
