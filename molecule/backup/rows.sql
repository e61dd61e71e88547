-- A patient's record over the years: insurance, and outcome measures in several partitions.
INSERT INTO organizations (name, name_vi) VALUES ('Test clinics', 'Phòng khám thử nghiệm');
INSERT INTO clinics (organization_id, name) SELECT id, 'First' FROM organizations;
INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender, medical_alerts)
SELECT id, n, 'Nguyễn ' || n, E'Trần "%\\', date '1950-01-01' + n, 'female', ARRAY['dị ứng', NULL]
FROM clinics, generate_series(1, 500) AS n;
INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from, bhyt_card_number)
SELECT id, 'BHYT', mrn, date_of_birth, 'DN1' || lpad(mrn, 12, '0') FROM patients;
INSERT INTO outcome_measures (patient_id, library_id, measure_type, baseline_score, current_score, measurement_date)
SELECT p.id, l.id, l.measure_type, l.scale_min + 8, l.scale_min + year % 7, make_date(year, 12, 31)
FROM patients AS p, outcome_measures_library AS l, generate_series(2024, 2028) AS year;
