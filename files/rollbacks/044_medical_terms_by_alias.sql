-- Rollback: 044_medical_terms_by_alias
-- Description: Drops the search for terms by their aliases
-- Lost: nothing.

DROP INDEX IF EXISTS idx_medical_terms_search_trgm;

DROP FUNCTION IF EXISTS medical_term_search_text(TEXT, TEXT, TEXT[], TEXT[]);
