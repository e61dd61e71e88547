-- Rollback: 043_indexes_of_discharge_references
-- Description: Drops the index on the supervisor of a discharge summary
-- Lost: nothing.

DROP INDEX IF EXISTS idx_discharge_summaries_supervisor_id;
