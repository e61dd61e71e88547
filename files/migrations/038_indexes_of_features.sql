-- Migration: 038_indexes_of_features
-- Description: Indexes that keep receipt numbers apart, find patients by name, and follow references
-- Depends on: 007, 009, 026, 030, 034, 037
-- Transactional: no
-- In one file, as each file without transaction costs a deploy a task of its own; who is interrupted goes on at the next
-- statement.
-- Rows in the way: 030 names the receipt numbers that a clinic gave to several payments.
-- CONCURRENTLY does not work on a partitioned table: each partition of scores gets its index here, and 039 joins them.
-- Locks: SHARE UPDATE EXCLUSIVE on one table at a time; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE UNIQUE INDEX CONCURRENTLY uq_payments_receipt_number ON payments (clinic_id, receipt_number)
    WHERE receipt_number IS NOT NULL;

-- Trigram indexes help from three letters on. 037 shows the query.
CREATE INDEX CONCURRENTLY idx_patients_search_name_trgm ON patients USING gin (
    patient_search_name(last_name, first_name, last_name_vi, first_name_vi) gin_trgm_ops
);

-- Mostly null, so that an index holds only the rows with a value.
CREATE INDEX CONCURRENTLY idx_insurance_bhxh_number ON insurance_info (bhxh_number)
    WHERE bhxh_number IS NOT NULL;
CREATE INDEX CONCURRENTLY idx_discharge_summaries_supervisor_id ON discharge_summaries (supervisor_id)
    WHERE supervisor_id IS NOT NULL;
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

COMMENT ON INDEX uq_payments_receipt_number IS
    'A receipt number once in a clinic / Mỗi số biên lai dùng một lần trong phòng khám';
COMMENT ON INDEX idx_patients_search_name_trgm IS
    'Search for patients with and without diacritics / Tìm bệnh nhân có dấu và không dấu';
COMMENT ON INDEX idx_insurance_bhxh_number IS 'Policies by social insurance number / Tìm theo mã số BHXH';
COMMENT ON INDEX idx_discharge_summaries_supervisor_id IS 'Summaries by supervisor / Người giám sát';
