-- Migration: 052_correct_protocols
-- Description: Corrects ICD-10 codes of two protocol templates to the edition of the WHO
-- Depends on: 014
--   Lower back: for non-specific pain, so without M54.4 (with sciatica)
--   Pediatric:  R62.50 does not exist in that edition -> R62.9 lack of expected development, unspecified
-- Only templates of all clinics that still hold the old list.

UPDATE clinical_protocols
SET applicable_diagnoses = ARRAY['M54.5', 'M54.9']
WHERE clinic_id IS NULL AND protocol_name = 'Lower Back Pain Rehabilitation'
  AND applicable_diagnoses = ARRAY['M54.5', 'M54.4', 'M54.9'];

UPDATE clinical_protocols
SET applicable_diagnoses = ARRAY['R62.0', 'R62.9', 'F82']
WHERE clinic_id IS NULL AND protocol_name = 'Pediatric Development Delay'
  AND applicable_diagnoses = ARRAY['R62.0', 'R62.50', 'F82'];
