-- Migration: 010_medical_terms_tables
-- Description: Medical terms in English and Vietnamese with trigram search
-- Depends on: 001
-- Typing without diacritics finds a term, too, through index idx_medical_terms_vi_unaccent_trgm:
--   SELECT term_vi FROM vietnamese_medical_terms
--   WHERE vietnamese_unaccent(term_vi) LIKE '%' || vietnamese_unaccent('dau lung') || '%';
-- The extension unaccent is not needed: normalize() ships with PostgreSQL (database encoding UTF8).
-- The check of category casts to text: then a dump and a restore do not change its stored words.
-- A user's own % and _ are wildcards of LIKE: escape them. Trigram indexes help from three letters on.

-- NFD splits a letter from its marks (U+0300 to U+036F). The bar of đ is no mark: translate() takes care of đ.
-- COLLATE "C" keeps the result independent of the locale of the database.
-- OR REPLACE: the guide's own rollback drops the table and leaves the function.
CREATE OR REPLACE FUNCTION vietnamese_unaccent(p_text TEXT)
RETURNS TEXT
LANGUAGE sql
IMMUTABLE
STRICT
PARALLEL SAFE
RETURN lower(
    translate(regexp_replace(normalize(p_text COLLATE "C", NFD), '[\u0300-\u036F]', '', 'g'), 'đĐ', 'dD')
);

COMMENT ON FUNCTION vietnamese_unaccent(TEXT) IS
    'Lower case without diacritics, for searching: Đau lưng gives dau lung / Bỏ dấu tiếng Việt';

CREATE TABLE vietnamese_medical_terms (
    id            UUID         NOT NULL DEFAULT uuid_generate_v4(),
    term_en       VARCHAR(255) NOT NULL,
    term_vi       VARCHAR(255) NOT NULL,
    definition_en TEXT,
    definition_vi TEXT,
    category      VARCHAR(100) NOT NULL,
    subcategory   VARCHAR(100),
    icd10_code    VARCHAR(20),
    aliases_en    TEXT[],
    aliases_vi    TEXT[],
    commonly_used BOOLEAN      NOT NULL DEFAULT true,
    usage_notes   TEXT,
    is_active     BOOLEAN      NOT NULL DEFAULT true,
    created_at    TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ  NOT NULL DEFAULT now(),

    CONSTRAINT vietnamese_medical_terms_pkey PRIMARY KEY (id),
    CONSTRAINT uq_medical_term UNIQUE (term_en, category),
    CONSTRAINT chk_vietnamese_medical_terms_category
        CHECK (category::text IN ('anatomy', 'symptom', 'condition', 'treatment', 'assessment'))
);

CREATE INDEX idx_medical_terms_en_trgm ON vietnamese_medical_terms USING gin (term_en gin_trgm_ops);
CREATE INDEX idx_medical_terms_vi_trgm ON vietnamese_medical_terms USING gin (term_vi gin_trgm_ops);
CREATE INDEX idx_medical_terms_vi_unaccent_trgm
    ON vietnamese_medical_terms USING gin (vietnamese_unaccent(term_vi) gin_trgm_ops);
CREATE INDEX idx_medical_terms_category ON vietnamese_medical_terms (category);
CREATE INDEX idx_medical_terms_subcategory ON vietnamese_medical_terms (subcategory);
CREATE INDEX idx_medical_terms_icd10 ON vietnamese_medical_terms (icd10_code) WHERE icd10_code IS NOT NULL;
CREATE INDEX idx_medical_terms_is_active ON vietnamese_medical_terms (is_active);

CREATE TRIGGER trg_medical_terms_updated_at
    BEFORE UPDATE ON vietnamese_medical_terms
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE vietnamese_medical_terms IS
    'Medical terms in English and Vietnamese / Thuật ngữ y khoa Anh - Việt';
COMMENT ON COLUMN vietnamese_medical_terms.category IS
    'anatomy, symptom, condition, treatment or assessment / Nhóm';
COMMENT ON COLUMN vietnamese_medical_terms.aliases_en IS 'Other English spellings and synonyms';
COMMENT ON COLUMN vietnamese_medical_terms.aliases_vi IS
    'Other Vietnamese spellings and synonyms / Từ đồng nghĩa';
COMMENT ON INDEX idx_medical_terms_vi_unaccent_trgm IS 'Search without diacritics / Tìm kiếm không dấu';
