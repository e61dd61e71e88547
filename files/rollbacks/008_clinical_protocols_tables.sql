-- Rollback: 008_clinical_protocols_tables
-- Description: Drops protocol templates and the protocols of patients
-- Lost: every protocol template, also those of the clinics, and every assigned protocol with its progress.

DROP TABLE IF EXISTS patient_protocols CASCADE;
DROP TABLE IF EXISTS clinical_protocols CASCADE;
