-- Rollback: 010_medical_terms_tables
-- Description: Drops the medical terms and the search without diacritics
-- Lost: every medical term, also those that a clinic added.

DROP TABLE IF EXISTS vietnamese_medical_terms CASCADE;

DROP FUNCTION IF EXISTS vietnamese_unaccent(TEXT);
