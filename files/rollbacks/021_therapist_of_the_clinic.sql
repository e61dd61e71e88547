-- Rollback: 021_therapist_of_the_clinic
-- Description: The therapist of an appointment may belong to any clinic again
-- Lost: nothing.

ALTER TABLE appointments DROP CONSTRAINT IF EXISTS appointments_therapist_clinic_fkey;

-- A constraint takes its index with it, and 020 made that as an index: it is made anew, while writing to users waits.
ALTER TABLE users DROP CONSTRAINT IF EXISTS uq_users_id_clinic;
CREATE UNIQUE INDEX uq_users_id_clinic ON users (id, clinic_id);
