-- Rollback: 014_seed_clinical_protocols
-- Description: Deletes the five seeded protocol templates
-- Lost: the five protocols of all clinics (clinic_id is null), with edits made to them.
-- Protocols of a clinic stay.
-- Fails while a patient is assigned one of them: protocols in use are never deleted here.

DELETE FROM clinical_protocols
WHERE clinic_id IS NULL
  AND protocol_name IN (
    'Lower Back Pain Rehabilitation',
    'Shoulder Pain Rehabilitation',
    'Knee Osteoarthritis Management',
    'Post-Stroke Rehabilitation',
    'Pediatric Development Delay'
  );
