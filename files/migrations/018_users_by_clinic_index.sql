-- Migration: 018_users_by_clinic_index
-- Description: Unique index on user and clinic, which the foreign key of 019 refers to
-- Depends on: 001
-- Transactional: no
-- No row can be in the way: id alone is unique.
-- Locks: SHARE UPDATE EXCLUSIVE on users; reading and writing go on.

CREATE UNIQUE INDEX CONCURRENTLY uq_users_id_clinic ON users (id, clinic_id);
