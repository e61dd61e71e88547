-- Migration: 030_scores_by_session_indexes
-- Description: Index of each partition of scores by session, which the foreign key of 032 walks
-- Depends on: 006, 029
-- Transactional: no
-- CONCURRENTLY does not work on a partitioned table: each partition gets its index here, and 031 joins them.
-- Locks: SHARE UPDATE EXCLUSIVE on one partition at a time; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE INDEX CONCURRENTLY outcome_measures_before_2024_treatment_session_id_idx
    ON outcome_measures_before_2024 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2024_treatment_session_id_idx
    ON outcome_measures_2024 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2025_treatment_session_id_idx
    ON outcome_measures_2025 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2026_treatment_session_id_idx
    ON outcome_measures_2026 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2027_treatment_session_id_idx
    ON outcome_measures_2027 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2028_treatment_session_id_idx
    ON outcome_measures_2028 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2029_treatment_session_id_idx
    ON outcome_measures_2029 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY outcome_measures_2030_treatment_session_id_idx
    ON outcome_measures_2030 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
