-- Migration: 022_therapist_of_the_clinic_validated
-- Description: Validates the foreign key of 021 for the rows from before
-- Depends on: 021
-- 021 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE appointments VALIDATE CONSTRAINT appointments_therapist_clinic_fkey;

COMMENT ON CONSTRAINT appointments_therapist_clinic_fkey ON appointments IS
    'The therapist belongs to the clinic of the appointment / Kỹ thuật viên thuộc phòng khám của lịch hẹn';
