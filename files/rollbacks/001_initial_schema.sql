-- Rollback: 001_initial_schema
-- Description: Drops organizations, clinics, users, patients and insurance_info
-- Lost: every organization, clinic, user, patient and insurance policy.
-- Fails while a table of a later migration exists: nothing is dropped in passing.
-- The extensions stay: this migration did not create them.

DROP TABLE IF EXISTS insurance_info;
DROP TABLE IF EXISTS patients;
DROP TABLE IF EXISTS users;
DROP TABLE IF EXISTS clinics;
DROP TABLE IF EXISTS organizations;

DROP FUNCTION IF EXISTS update_updated_at_column();

DROP TYPE IF EXISTS user_role;
DROP TYPE IF EXISTS language_preference;
DROP TYPE IF EXISTS gender_type;
