-- Rollback: 018_users_by_clinic_index
-- Description: Drops the unique index on user and clinic
-- Lost: nothing.

DROP INDEX IF EXISTS uq_users_id_clinic;
