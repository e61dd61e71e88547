-- Rollback: 012_seed_pt_service_codes
-- Description: Deletes the eight seeded service codes
-- Lost: the eight services of all clinics (clinic_id is null), with edits made to them.
-- Services of a clinic stay.
-- Fails while an invoice has one of them: billed services are never deleted here.

DELETE FROM pt_service_codes
WHERE clinic_id IS NULL
  AND code IN ('PT001', 'PT002', 'PT003', 'PT004', 'PT105', 'PT106', 'PT201', 'PT301');
