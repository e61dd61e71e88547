-- Migration: 043_indexes_of_discharge_references
-- Description: Index on the supervisor of a discharge summary, mostly null
-- Depends on: 009
-- Transactional: no
-- As 024 for the tables of 002 to 004.
-- Locks: SHARE UPDATE EXCLUSIVE on discharge_summaries; reading and writing go on.

CREATE INDEX CONCURRENTLY idx_discharge_summaries_supervisor_id ON discharge_summaries (supervisor_id)
    WHERE supervisor_id IS NOT NULL;
