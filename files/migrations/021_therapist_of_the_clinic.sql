-- Migration: 021_therapist_of_the_clinic
-- Description: The therapist of an appointment belongs to the clinic of the appointment
-- Depends on: 004, 020
-- A user belongs to one clinic; who works in two has a user in each. A user with appointments cannot be moved to
-- another clinic: make a new user there.
-- Rows in the way are counted first, and then nothing is changed. The key is NOT VALID: it holds for new rows at once.
-- Locks: ACCESS EXCLUSIVE on users, SHARE ROW EXCLUSIVE on appointments, for milliseconds.

DO $rows_in_the_way$
DECLARE
    in_the_way bigint;
BEGIN
    SELECT count(*) INTO in_the_way
    FROM appointments AS a JOIN users AS u ON u.id = a.therapist_id
    WHERE u.clinic_id <> a.clinic_id;
    IF in_the_way > 0 THEN
        RAISE EXCEPTION '% appointments have a therapist of another clinic', in_the_way USING
            ERRCODE = 'foreign_key_violation',
            HINT = 'Correct them. Find them: SELECT a.id FROM appointments AS a JOIN users AS u ON u.id = '
                   'a.therapist_id WHERE u.clinic_id <> a.clinic_id';
    END IF;
END
$rows_in_the_way$;

ALTER TABLE users
    ADD CONSTRAINT uq_users_id_clinic UNIQUE USING INDEX uq_users_id_clinic;

COMMENT ON CONSTRAINT uq_users_id_clinic ON users IS
    'For foreign keys that ask for a user of the same clinic';

ALTER TABLE appointments
    ADD CONSTRAINT appointments_therapist_clinic_fkey
        FOREIGN KEY (therapist_id, clinic_id) REFERENCES users (id, clinic_id) NOT VALID;
