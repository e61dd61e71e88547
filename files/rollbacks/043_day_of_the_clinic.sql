-- Rollback: 043_day_of_the_clinic
-- Description: Defaults that mean today mean it in the time zone of the session again
-- Lost: nothing.

ALTER TABLE bhyt_validation_rules ALTER COLUMN effective_from SET DEFAULT CURRENT_DATE;
ALTER TABLE patient_protocols ALTER COLUMN assigned_date SET DEFAULT CURRENT_DATE;
ALTER TABLE invoices ALTER COLUMN invoice_date SET DEFAULT CURRENT_DATE;
