-- Migration: 050_patient_search_index
-- Description: Index that finds a patient by any part of the name, with and without diacritics
-- Depends on: 049
-- Transactional: no
-- Trigram indexes help from three letters on.
-- Locks: SHARE UPDATE EXCLUSIVE on patients; reading and writing go on.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

CREATE INDEX CONCURRENTLY idx_patients_search_name_trgm ON patients USING gin (
    patient_search_name(last_name, first_name, last_name_vi, first_name_vi) gin_trgm_ops
);

COMMENT ON INDEX idx_patients_search_name_trgm IS
    'Search for patients with and without diacritics / Tìm bệnh nhân có dấu và không dấu';
