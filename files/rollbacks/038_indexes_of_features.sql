-- Rollback: 038_indexes_of_features
-- Description: Drops those indexes; a clinic may give a receipt number again
-- Lost: nothing.

DROP INDEX IF EXISTS
    outcome_measures_2030_treatment_session_id_idx,
    outcome_measures_2029_treatment_session_id_idx,
    outcome_measures_2028_treatment_session_id_idx,
    outcome_measures_2027_treatment_session_id_idx,
    outcome_measures_2026_treatment_session_id_idx,
    outcome_measures_2025_treatment_session_id_idx,
    outcome_measures_2024_treatment_session_id_idx,
    outcome_measures_before_2024_treatment_session_id_idx,
    idx_discharge_summaries_supervisor_id,
    idx_insurance_bhxh_number,
    idx_patients_search_name_trgm,
    uq_payments_receipt_number;
