-- The state that decides whether rows are inserted. Fails if a table of the release is missing.
SELECT
    coalesce(current_setting('physioflow.environment', true), '') AS environment,
    (SELECT coalesce(max((settings ->> 'seed_patients')::int), 0) FROM organizations) AS patients,
    (SELECT count(*) FROM outcome_measures_library) + (SELECT count(*) FROM pt_service_codes)
    + (SELECT count(*) FROM vietnamese_medical_terms) + (SELECT count(*) FROM clinical_protocols)
    + (SELECT count(*) FROM bhyt_validation_rules) AS reference_rows
