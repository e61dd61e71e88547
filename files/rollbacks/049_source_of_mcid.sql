-- Rollback: 049_source_of_mcid
-- Description: Drops the source of the MCID of a measure
-- Lost: the sources, also those that a clinic added.

ALTER TABLE outcome_measures_library DROP COLUMN IF EXISTS mcid_source;
