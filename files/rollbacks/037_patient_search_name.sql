-- Rollback: 037_patient_search_name
-- Description: Drops the name by which a patient is searched
-- Lost: nothing.

DROP FUNCTION IF EXISTS patient_search_name(TEXT, TEXT, TEXT, TEXT);
