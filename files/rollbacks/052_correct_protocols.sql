-- Rollback: 052_correct_protocols
-- Description: Brings the old ICD-10 codes of two protocol templates back
-- Lost: nothing. Only templates that still hold the new list.

UPDATE clinical_protocols
SET applicable_diagnoses = ARRAY['M54.5', 'M54.4', 'M54.9']
WHERE clinic_id IS NULL AND protocol_name = 'Lower Back Pain Rehabilitation'
  AND applicable_diagnoses = ARRAY['M54.5', 'M54.9'];

UPDATE clinical_protocols
SET applicable_diagnoses = ARRAY['R62.0', 'R62.50', 'F82']
WHERE clinic_id IS NULL AND protocol_name = 'Pediatric Development Delay'
  AND applicable_diagnoses = ARRAY['R62.0', 'R62.9', 'F82'];
