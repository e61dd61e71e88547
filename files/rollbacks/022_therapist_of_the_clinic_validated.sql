-- Rollback: 022_therapist_of_the_clinic_validated
-- Description: The foreign key of 021 holds for new rows only again
-- Lost: nothing.

ALTER TABLE appointments
    DROP CONSTRAINT appointments_therapist_clinic_fkey,
    ADD CONSTRAINT appointments_therapist_clinic_fkey
        FOREIGN KEY (therapist_id, clinic_id) REFERENCES users (id, clinic_id) NOT VALID;
