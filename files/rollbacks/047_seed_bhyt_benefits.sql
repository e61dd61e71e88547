-- Rollback: 047_seed_bhyt_benefits
-- Description: Empties the benefit levels of BHYT and the groups of insured
-- Lost: every level and group, also those that were added since. Save them first.
-- Rolled back together with 046, it deletes nothing: the tables go.

DELETE FROM bhyt_insured_groups;
DELETE FROM bhyt_benefit_levels;
