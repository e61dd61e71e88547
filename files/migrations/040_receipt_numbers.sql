-- Migration: 040_receipt_numbers
-- Description: A clinic gives a receipt number once
-- Depends on: 007, 038
-- Transactional: no
-- 038 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE on payments; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE UNIQUE INDEX CONCURRENTLY uq_payments_receipt_number ON payments (clinic_id, receipt_number)
    WHERE receipt_number IS NOT NULL;

COMMENT ON INDEX uq_payments_receipt_number IS
    'A receipt number once in a clinic / Mỗi số biên lai dùng một lần trong phòng khám';
