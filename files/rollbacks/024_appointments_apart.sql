-- Rollback: 024_appointments_apart
-- Description: Appointments of a therapist may overlap again
-- Lost: nothing. The extension btree_gist stays.

ALTER TABLE appointments DROP CONSTRAINT IF EXISTS exc_appointments_therapist_time;
