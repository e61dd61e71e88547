-- Rollback: 023_appointments_reserve_time
-- Description: Drops the mark of appointments that reserve the time of their therapist
-- Lost: which appointments may overlap others, where somebody has said so (false).

ALTER TABLE appointments DROP COLUMN IF EXISTS reserves_time;
