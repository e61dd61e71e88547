-- Rollback: 014_seed_clinical_protocols
-- Description: Deletes the five seeded protocol templates, with their assignments to patients
-- Lost: the five protocols of all clinics (clinic_id is null), with edits made to them, and every assignment of one of
-- them to a patient, with its progress. Protocols of a clinic and their assignments stay. Rolled back together with 008,
-- it deletes nothing: the tables go.

DELETE FROM patient_protocols
WHERE protocol_id IN (
    SELECT id FROM clinical_protocols
    WHERE clinic_id IS NULL
      AND protocol_name IN (
        'Lower Back Pain Rehabilitation',
        'Shoulder Pain Rehabilitation',
        'Knee Osteoarthritis Management',
        'Post-Stroke Rehabilitation',
        'Pediatric Development Delay'
      )
);

DELETE FROM clinical_protocols
WHERE clinic_id IS NULL
  AND protocol_name IN (
    'Lower Back Pain Rehabilitation',
    'Shoulder Pain Rehabilitation',
    'Knee Osteoarthritis Management',
    'Post-Stroke Rehabilitation',
    'Pediatric Development Delay'
  );
