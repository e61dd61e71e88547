-- Migration: 043_day_of_the_clinic
-- Description: Defaults that mean today mean it in Vietnam
-- Depends on: 007, 008, 015
-- CURRENT_DATE is the day of the session's time zone: with UTC it is yesterday in Vietnam until 07:00. An invoice of
-- the morning got the day before.
-- Locks: ACCESS EXCLUSIVE on each table, for milliseconds; no row is read.

ALTER TABLE invoices
    ALTER COLUMN invoice_date SET DEFAULT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date;
ALTER TABLE patient_protocols
    ALTER COLUMN assigned_date SET DEFAULT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date;
ALTER TABLE bhyt_validation_rules
    ALTER COLUMN effective_from SET DEFAULT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date;
