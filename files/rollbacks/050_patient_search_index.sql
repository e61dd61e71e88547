-- Rollback: 050_patient_search_index
-- Description: Drops the index that finds a patient by any part of the name
-- Lost: nothing.

DROP INDEX IF EXISTS idx_patients_search_name_trgm;
