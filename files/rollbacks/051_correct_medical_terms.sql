-- Rollback: 051_correct_medical_terms
-- Description: Brings the old ICD-10 codes of medical terms back, and takes the added aliases away
-- Lost: nothing. Only rows that still hold the new value.

UPDATE vietnamese_medical_terms AS t
SET icd10_code = c.old_code
FROM (VALUES
    ('Fracture', 'T14.8', 'T14.2'),
    ('Osteoarthritis', 'M19.90', 'M19.9'),
    ('Stroke', 'I63.9', 'I64'),
    ('Herniated Disc', 'M51.1', 'M51.2'),
    ('Back Pain', 'M54.5', 'M54.9')
) AS c (term_en, old_code, new_code)
WHERE t.category = 'condition' AND t.term_en = c.term_en AND t.icd10_code = c.new_code;

UPDATE vietnamese_medical_terms AS t
SET aliases_vi = NULL
FROM (VALUES
    ('anatomy', 'Hip', 'Khớp háng'),
    ('anatomy', 'Pelvis', 'Khung chậu'),
    ('symptom', 'Tingling', 'Dị cảm'),
    ('treatment', 'Massage', 'Xoa bóp'),
    ('treatment', 'Joint Mobilization', 'Di động khớp')
) AS a (category, term_en, alias)
WHERE t.category = a.category AND t.term_en = a.term_en AND t.aliases_vi = ARRAY[a.alias];
