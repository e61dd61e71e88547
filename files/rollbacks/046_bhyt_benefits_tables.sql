-- Rollback: 046_bhyt_benefits_tables
-- Description: Drops the benefit levels of BHYT and the groups of insured
-- Lost: every level and group, also those that were added or edited since.

DROP TABLE IF EXISTS bhyt_insured_groups;
DROP TABLE IF EXISTS bhyt_benefit_levels;
