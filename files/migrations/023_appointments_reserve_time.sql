-- Migration: 023_appointments_reserve_time
-- Description: Marks the appointments that reserve the time of their therapist, which 024 keeps apart
-- Depends on: 004
-- Every new appointment has true. Those from before have null: PostgreSQL must not read a big table while nobody can
-- use it, and nobody should have to correct a past that overlaps. 025 sets true for those to come.
-- Null also suits records that are imported from another system.
-- Locks: ACCESS EXCLUSIVE on appointments, for milliseconds: the column is added without reading a row.

ALTER TABLE appointments ADD COLUMN reserves_time BOOLEAN;

-- A statement of its own: a default that comes with the column would also hold for the rows from before.
ALTER TABLE appointments ALTER COLUMN reserves_time SET DEFAULT true;

COMMENT ON COLUMN appointments.reserves_time IS
    'True: no other appointment of the therapist at that time; null: a record from before that rule / Giữ giờ';
