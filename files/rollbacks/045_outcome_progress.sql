-- Rollback: 045_outcome_progress
-- Description: Drops the view of improved and worsened patients
-- Lost: nothing.

DROP VIEW IF EXISTS outcome_progress;
