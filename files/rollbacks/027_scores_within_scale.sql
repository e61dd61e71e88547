-- Rollback: 027_scores_within_scale
-- Description: Accepts scores outside the scale of their measure again
-- Lost: nothing.

DROP TRIGGER IF EXISTS trg_outcome_measures_scale ON outcome_measures;

DROP FUNCTION IF EXISTS check_score_within_scale();
