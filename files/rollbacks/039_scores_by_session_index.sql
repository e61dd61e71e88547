-- Rollback: 039_scores_by_session_index
-- Description: Parts the index of outcome_measures by session into those of 038 again
-- Lost: nothing. An index goes with those of its partitions; those of 038 are made anew, while writing waits.

DROP INDEX IF EXISTS idx_outcome_measures_session_id;

CREATE INDEX outcome_measures_before_2024_treatment_session_id_idx
    ON outcome_measures_before_2024 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2024_treatment_session_id_idx
    ON outcome_measures_2024 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2025_treatment_session_id_idx
    ON outcome_measures_2025 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2026_treatment_session_id_idx
    ON outcome_measures_2026 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2027_treatment_session_id_idx
    ON outcome_measures_2027 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2028_treatment_session_id_idx
    ON outcome_measures_2028 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2029_treatment_session_id_idx
    ON outcome_measures_2029 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
CREATE INDEX outcome_measures_2030_treatment_session_id_idx
    ON outcome_measures_2030 (treatment_session_id) WHERE treatment_session_id IS NOT NULL;
