-- Migration: 049_source_of_mcid
-- Description: A column for the source of the MCID of a measure
-- Depends on: 006
-- Locks: ACCESS EXCLUSIVE on outcome_measures_library, for milliseconds.

ALTER TABLE outcome_measures_library ADD COLUMN mcid_source TEXT;

COMMENT ON COLUMN outcome_measures_library.mcid_source IS
    'Publication that the MCID comes from; null: not recorded / Nguồn của ngưỡng MCID';
