-- Rollback: 013_seed_medical_terms
-- Description: Empties the medical terms
-- Lost: every medical term, also those that a clinic added after the seed. Save them first.
-- Rolled back together with 010, it deletes nothing: the table goes.

TRUNCATE vietnamese_medical_terms;
