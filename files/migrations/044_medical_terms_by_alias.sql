-- Migration: 044_medical_terms_by_alias
-- Description: Medical terms are found by their aliases, too, with and without diacritics
-- Depends on: 010
--   SELECT term_en, term_vi FROM vietnamese_medical_terms
--   WHERE medical_term_search_text(term_en, term_vi, aliases_en, aliases_vi)
--         LIKE '%' || vietnamese_unaccent('khop hang') || '%';
-- Terms and aliases stand on lines of their own, so that no pattern runs from one into the next.
-- Lock: SHARE on vietnamese_medical_terms while its rows are read, milliseconds: a dictionary has hundreds of rows.
-- squawk-ignore-file require-concurrent-index-creation

-- array_to_string is not immutable for all types, but it is for texts.
CREATE FUNCTION medical_term_search_text(
    p_term_en    TEXT,
    p_term_vi    TEXT,
    p_aliases_en TEXT[],
    p_aliases_vi TEXT[]
)
RETURNS TEXT
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN public.vietnamese_unaccent(
    coalesce(p_term_en, '') || E'\n' || coalesce(p_term_vi, '')
    || E'\n' || coalesce(array_to_string(p_aliases_en, E'\n'), '')
    || E'\n' || coalesce(array_to_string(p_aliases_vi, E'\n'), '')
);

COMMENT ON FUNCTION medical_term_search_text(TEXT, TEXT, TEXT[], TEXT[]) IS
    'Terms and aliases without diacritics, for searching / Thuật ngữ và từ đồng nghĩa không dấu';

CREATE INDEX idx_medical_terms_search_trgm ON vietnamese_medical_terms USING gin (
    medical_term_search_text(term_en, term_vi, aliases_en, aliases_vi) gin_trgm_ops
);

COMMENT ON INDEX idx_medical_terms_search_trgm IS
    'Search for terms and aliases, with and without diacritics / Tìm thuật ngữ và từ đồng nghĩa';
