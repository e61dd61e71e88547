-- Rollback: 012_seed_pt_service_codes
-- Description: Deletes the eight seeded service codes; lines of invoices stay, and refer to none of them any more
-- Lost: the eight services of all clinics (clinic_id is null), with edits made to them, and the reference to one of them
-- in each line of an invoice, which keeps its text and its amounts. Services of a clinic stay. Rolled back together with
-- 007, it does nothing: the tables go.

UPDATE invoice_line_items SET service_code_id = NULL
WHERE service_code_id IN (
    SELECT id FROM pt_service_codes
    WHERE clinic_id IS NULL
      AND code IN ('PT001', 'PT002', 'PT003', 'PT004', 'PT105', 'PT106', 'PT201', 'PT301')
);

DELETE FROM pt_service_codes
WHERE clinic_id IS NULL
  AND code IN ('PT001', 'PT002', 'PT003', 'PT004', 'PT105', 'PT106', 'PT201', 'PT301');
