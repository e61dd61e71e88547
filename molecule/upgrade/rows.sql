-- A clinic with invented patients.
INSERT INTO organizations (name, name_vi) VALUES ('Test clinics', 'Phòng khám thử nghiệm');
INSERT INTO clinics (organization_id, name) SELECT id, 'First' FROM organizations;
INSERT INTO patients (clinic_id, mrn, first_name, last_name, date_of_birth, gender, medical_alerts)
SELECT id, n, 'Nguyễn ' || n, E'Trần "%\\', date '1950-01-01' + n, 'female', ARRAY['dị ứng', NULL]
FROM clinics, generate_series(1, 500) AS n;
INSERT INTO insurance_info (patient_id, provider, policy_number, valid_from, bhyt_card_number)
SELECT id, 'BHYT', mrn, date_of_birth, 'DN1' || lpad(mrn, 12, '0') FROM patients;
