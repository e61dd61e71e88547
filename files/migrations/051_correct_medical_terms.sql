-- Migration: 051_correct_medical_terms
-- Description: Corrects ICD-10 codes of medical terms to the edition of the WHO, and adds aliases
-- Depends on: 013
-- Vietnam uses the edition of the WHO; five-digit codes are of the American ICD-10-CM and do not exist in it.
--   Fracture        T14.8 other injuries              -> T14.2 fracture of unspecified body region
--   Osteoarthritis  M19.90 does not exist             -> M19.9 arthrosis, unspecified
--   Stroke          I63.9 infarction only             -> I64 stroke, not specified as haemorrhage or infarction
--   Herniated Disc  M51.1 with radiculopathy          -> M51.2 other specified disc displacement
--   Back Pain       M54.5 low back only               -> M54.9 dorsalgia, unspecified
-- Only rows that still hold the old value.

UPDATE vietnamese_medical_terms AS t
SET icd10_code = c.new_code
FROM (VALUES
    ('Fracture', 'T14.8', 'T14.2'),
    ('Osteoarthritis', 'M19.90', 'M19.9'),
    ('Stroke', 'I63.9', 'I64'),
    ('Herniated Disc', 'M51.1', 'M51.2'),
    ('Back Pain', 'M54.5', 'M54.9')
) AS c (term_en, old_code, new_code)
WHERE t.category = 'condition' AND t.term_en = c.term_en AND t.icd10_code = c.old_code;

UPDATE vietnamese_medical_terms AS t
SET aliases_vi = ARRAY[a.alias]
FROM (VALUES
    ('anatomy', 'Hip', 'Khớp háng'),
    ('anatomy', 'Pelvis', 'Khung chậu'),
    ('symptom', 'Tingling', 'Dị cảm'),
    ('treatment', 'Massage', 'Xoa bóp'),
    ('treatment', 'Joint Mobilization', 'Di động khớp')
) AS a (category, term_en, alias)
WHERE t.category = a.category AND t.term_en = a.term_en AND t.aliases_vi IS NULL;
