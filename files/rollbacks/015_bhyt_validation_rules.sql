-- Rollback: 015_bhyt_validation_rules
-- Description: Drops the BHYT validation rules and the function that checks a card
-- Lost: every validation rule, also those that were added or edited after the seed.

DROP FUNCTION IF EXISTS validate_bhyt_card(VARCHAR);

DROP TABLE IF EXISTS bhyt_validation_rules CASCADE;
