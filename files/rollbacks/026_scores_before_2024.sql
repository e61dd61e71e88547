-- Rollback: 026_scores_before_2024
-- Description: Drops the partition for scores before 2024
-- Lost: every score measured before 2024.

DROP TABLE IF EXISTS outcome_measures_before_2024;
