-- Rollback: 053_correct_bhyt_rules
-- Description: Brings the old Vietnamese words of the rules for war veterans back
-- Lost: nothing. Only rows that still hold the new words.

UPDATE bhyt_validation_rules AS r
SET rule_name_vi = c.old_name, beneficiary_category_vi = c.old_category
FROM (VALUES
    ('CB1: War veterans', 'CB1: Thương binh', 'CB1: Cựu chiến binh', 'Thương binh', 'Cựu chiến binh'),
    ('CB2: Dependents of war veterans', 'CB2: Người phụ thuộc thương binh', 'CB2: Người phụ thuộc cựu chiến binh',
     'Người phụ thuộc thương binh', 'Người phụ thuộc cựu chiến binh')
) AS c (rule_name, old_name, new_name, old_category, new_category)
WHERE r.rule_name = c.rule_name AND r.rule_name_vi = c.new_name AND r.beneficiary_category_vi = c.new_category;
