-- Rollback: 025_patients_in_vietnamese_order
-- Description: Drops the index for the list of patients in Vietnamese order
-- Lost: nothing.

DROP INDEX IF EXISTS idx_patients_vietnamese_order;
