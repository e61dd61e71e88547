-- Rollback: 030_scores_by_session_indexes
-- Description: Drops the index of each partition of scores by session
-- Lost: nothing.

DROP INDEX IF EXISTS
    outcome_measures_before_2024_treatment_session_id_idx,
    outcome_measures_2024_treatment_session_id_idx,
    outcome_measures_2025_treatment_session_id_idx,
    outcome_measures_2026_treatment_session_id_idx,
    outcome_measures_2027_treatment_session_id_idx,
    outcome_measures_2028_treatment_session_id_idx,
    outcome_measures_2029_treatment_session_id_idx,
    outcome_measures_2030_treatment_session_id_idx;
