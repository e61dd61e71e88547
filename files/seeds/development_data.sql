-- Seed: development_data
-- Description: Invented clinics, staff, patients and their records, for development and load tests; never for production
-- Needs: migrations 001-015
-- By hand: psql -U emr -d physioflow -f development_data.sql
--          PGOPTIONS='-c seed.scale=100' psql -U emr -d physioflow -f development_data.sql
--
-- seed.scale is a whole number: 200 patients each, about 1000 outcome measures. Every row follows from its number alone,
-- so running it again changes nothing, and a larger scale adds what is missing. Days count back from the day of the first
-- run. Nobody is real: names are put together, and numbers 0199... were taken out of service in Vietnam in 2018.
-- It is one transaction: also by hand it stands as a whole or not at all.

BEGIN;

DO $guard$
DECLARE
    scale text := coalesce(nullif(current_setting('seed.scale', true), ''), '1');
BEGIN
    IF current_setting('physioflow.environment', true) = 'production' THEN
        RAISE EXCEPTION 'database % is marked as production: invented patients do not belong there', current_database();
    END IF;
    IF scale !~ '^[1-9][0-9]{0,4}$' THEN
        RAISE EXCEPTION 'seed.scale is %; it is a whole number from 1 to 99999', scale;
    END IF;
    IF to_regclass('bhyt_validation_rules') IS NULL OR to_regclass('outcome_measures_library') IS NULL THEN
        RAISE EXCEPTION 'the migrations 001-015 are not applied: deploy first';
    END IF;
    PERFORM set_config('seed.patients', (scale::int * 200)::text, true);
END
$guard$;

-- One namespace for all rows: an id tells that a row is invented, and which one it is.
CREATE FUNCTION pg_temp.seed_id(p_kind text, p_number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN uuid_generate_v5('b1a9e6d4-5c0e-5c59-9d0e-0d6a1f0c5eed'::uuid, p_kind || ' ' || p_number);

-- A number from 0 to p_many - 1 that looks like chance and is not.
CREATE FUNCTION pg_temp.pick(p_what text, p_number bigint, p_many int) RETURNS int
LANGUAGE sql IMMUTABLE
RETURN ((hashtextextended(p_what, p_number) % p_many + p_many) % p_many)::int;

CREATE FUNCTION pg_temp.word(p_words text, p_what text, p_number bigint) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN (string_to_array(p_words, ' '))[
    1 + pg_temp.pick(p_what, p_number, cardinality(string_to_array(p_words, ' ')))
];

INSERT INTO organizations (id, name, name_vi, settings)
VALUES (pg_temp.seed_id('organization', 1), 'Sample Rehabilitation Group', 'Tập đoàn Phục hồi chức năng Mẫu',
        jsonb_build_object('seed_day', current_date))
ON CONFLICT (id) DO NOTHING;

-- The day that all others count from: that of the first run.
CREATE TEMPORARY TABLE seed_day ON COMMIT DROP AS
SELECT (settings ->> 'seed_day')::date AS today FROM organizations WHERE id = pg_temp.seed_id('organization', 1);

-- A clinic has 10,000 patients at most, and two there are always.
CREATE TEMPORARY TABLE seed_clinics ON COMMIT DROP AS
SELECT n, pg_temp.seed_id('clinic', n) AS id
FROM generate_series(1, greatest(2, ceil(current_setting('seed.patients')::int / 10000.0)::int)) AS n;

INSERT INTO clinics (id, organization_id, name, name_vi, address, address_vi, phone, email)
SELECT id, pg_temp.seed_id('organization', 1), 'Sample Clinic ' || n, 'Phòng khám Mẫu ' || n,
       n || ' Invented Street, District ' || 1 + n % 12, n || ' đường Tưởng Tượng, Quận ' || 1 + n % 12,
       '0199' || lpad(n::text, 7, '0'), 'clinic' || n || '@example.com'
FROM seed_clinics
ON CONFLICT (id) DO NOTHING;

-- Ten of a clinic: one administrator, one at the desk, one assistant, seven therapists.
INSERT INTO users (id, clinic_id, email, first_name, last_name, first_name_vi, last_name_vi, role, license_number,
                   specializations)
SELECT pg_temp.seed_id('user', c.n * 10 + k), c.id, 'user' || k || '@clinic' || c.n || '.example.com',
       initcap(vietnamese_unaccent(given)), initcap(vietnamese_unaccent(family)), given, family,
       (ARRAY['clinic_admin', 'front_desk', 'assistant'] || array_fill('therapist'::text, ARRAY[7]))[k + 1]::user_role,
       CASE WHEN k > 2 THEN 'CCHN-' || lpad((c.n * 10 + k)::text, 6, '0') END,
       CASE WHEN k > 2 THEN ARRAY[(ARRAY['orthopaedics', 'neurology', 'paediatrics', 'sports'])[1 + k % 4]] END
FROM seed_clinics AS c
CROSS JOIN generate_series(0, 9) AS k
CROSS JOIN LATERAL (
    SELECT pg_temp.word('Nguyễn Trần Lê Phạm Hoàng Phan Vũ Đặng Bùi Đỗ', 'user family', c.n * 10 + k) AS family,
           pg_temp.word('An Bình Châu Dung Giang Hạnh Khánh Linh Minh Nga Phúc Quỳnh Sơn Thảo Uyên', 'user given',
                        c.n * 10 + k) AS given
) AS name
ON CONFLICT (id) DO NOTHING;

-- What a patient has: diagnosis, measure and protocol belong together.
CREATE TEMPORARY TABLE seed_problems ON COMMIT DROP AS
SELECT * FROM (VALUES
    (0, 'M54.5', 'Low back pain', 'Đau thắt lưng', 'ODI', 'lumbar_spine'),
    (1, 'M75.1', 'Rotator cuff syndrome', 'Hội chứng chóp xoay', 'QuickDASH', 'shoulder_right'),
    (2, 'M17.1', 'Knee osteoarthritis', 'Thoái hóa khớp gối', 'LEFS', 'knee_left'),
    (3, 'I63.9', 'Stroke', 'Đột quỵ', 'FIM', 'other'),
    (4, 'M54.2', 'Neck pain', 'Đau cổ', 'NDI', 'cervical_spine'),
    (5, 'M77.1', 'Tennis elbow', 'Viêm lồi cầu ngoài', 'DASH', 'elbow_right'),
    (6, 'S83.5', 'Sprain of the cruciate ligament', 'Bong gân dây chằng chéo', 'PSFS', 'knee_left')
) AS problem (n, icd10, name_en, name_vi, measure, region);

-- What such a patient goes on with at home.
CREATE TEMPORARY TABLE seed_exercises ON COMMIT DROP AS
SELECT icd10, jsonb_agg(jsonb_build_object(
           'name', name, 'name_vi', name_vi, 'sets', sets, 'reps', reps,
           'frequency', daily || 'x daily', 'frequency_vi', daily || ' lần mỗi ngày') ORDER BY n) AS program
FROM (VALUES
    (1, 'M54.5', 'Pelvic Tilts', 'Nghiêng xương chậu', 3, 10, 2),
    (2, 'M54.5', 'Bird-Dog', 'Chó-chim', 3, 8, 1),
    (3, 'M75.1', 'Pendulum Exercise', 'Bài tập con lắc', 1, 20, 3),
    (4, 'M75.1', 'Wall Push-Up Plus', 'Chống đẩy tường Plus', 3, 12, 1),
    (5, 'M17.1', 'Quad Sets', 'Co cơ tứ đầu đẳng trường', 3, 10, 3),
    (6, 'M17.1', 'Mini Squats', 'Squat nhỏ', 3, 10, 1),
    (7, 'I63.9', 'Sit-to-Stand Transfer', 'Tập đứng dậy từ ngồi', 3, 5, 2),
    (8, 'I63.9', 'Standing Balance', 'Tập thăng bằng đứng', 3, 10, 2),
    (9, 'M54.2', 'Chin Tucks', 'Gập cằm', 3, 10, 2),
    (10, 'M54.2', 'Scapular Retraction', 'Rút xương bả vai', 3, 15, 2),
    (11, 'M77.1', 'Wrist Extensor Stretch', 'Giãn cơ duỗi cổ tay', 3, 5, 2),
    (12, 'M77.1', 'Eccentric Wrist Extension', 'Duỗi cổ tay ly tâm', 3, 15, 1),
    (13, 'S83.5', 'Straight Leg Raise', 'Nâng chân thẳng', 3, 10, 2),
    (14, 'S83.5', 'Step-Ups', 'Bước lên bậc', 3, 10, 1)
) AS exercise (n, icd10, name, name_vi, sets, reps, daily)
GROUP BY icd10;

-- BHYT cards of every prefix, each with an age that it is given at.
CREATE TEMPORARY TABLE seed_prefixes ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY prefix) - 1 AS n, prefix, coverage_percent, copay_rate,
       CASE WHEN prefix = 'TE1' THEN 1 WHEN prefix = 'TE2' THEN 7 WHEN prefix = 'TE3' THEN 16
            WHEN prefix IN ('HC2', 'TX1') THEN 62 ELSE 20 END AS age_from,
       CASE WHEN prefix = 'TE1' THEN 4 WHEN prefix = 'TE2' THEN 8 WHEN prefix = 'TE3' THEN 6
            WHEN prefix IN ('HC2', 'TX1') THEN 25 ELSE 55 END AS ages
FROM bhyt_validation_rules AS rule, jsonb_array_elements_text(prefix_codes) AS prefix
WHERE is_active;

CREATE TEMPORARY TABLE seed_patients ON COMMIT DROP AS
SELECT s.n, pg_temp.seed_id('patient', s.n) AS id, c.id AS clinic_id, c.n AS clinic,
       pg_temp.seed_id('user', c.n * 10 + 3 + pg_temp.pick('therapist', s.n, 7)) AS therapist_id,
       pg_temp.seed_id('plan', s.n) AS plan_id,
       CASE WHEN s.n % 10 <> 9 THEN card.prefix END AS prefix, card.coverage_percent, card.copay_rate,
       problem.icd10, problem.name_en, problem.name_vi, problem.measure, problem.region,
       CASE WHEN pg_temp.pick('gender', s.n, 2) = 0 THEN 'female' ELSE 'male' END AS gender,
       today - 365 * (card.age_from + pg_temp.pick('age', s.n, card.ages)) - pg_temp.pick('birthday', s.n, 365) AS born,
       -- Treatment began 10 to 700 days ago, and not before the first partition of outcome_measures.
       greatest(today - 10 - pg_temp.pick('start', s.n, 690), date '2024-01-01') AS start, today
FROM generate_series(1, current_setting('seed.patients')::int) AS s (n)
CROSS JOIN seed_day
JOIN seed_clinics AS c ON c.n = 1 + CASE WHEN s.n <= 20000 THEN s.n % 2 ELSE (s.n - 1) / 10000 END
JOIN seed_prefixes AS card ON card.n = s.n % (SELECT count(*) FROM seed_prefixes)
JOIN seed_problems AS problem ON problem.n = s.n % 7
-- Those that are there already have all their rows: scales are whole, and a run is one transaction.
WHERE NOT EXISTS (SELECT FROM patients WHERE patients.id = pg_temp.seed_id('patient', s.n));

ANALYZE seed_patients;

INSERT INTO patients (id, clinic_id, mrn, first_name, last_name, first_name_vi, last_name_vi, date_of_birth, gender, phone,
                      email, address, address_vi, emergency_contact, medical_alerts, created_by)
SELECT p.id, p.clinic_id, 'MRN' || lpad(n::text, 7, '0'),
       initcap(vietnamese_unaccent(given)), initcap(vietnamese_unaccent(family)), given, family, born, gender::gender_type,
       '0199' || lpad(n::text, 7, '0'), CASE WHEN n % 3 = 0 THEN 'patient' || n || '@example.com' END,
       street || ' Invented Street', street || ' đường Tưởng Tượng',
       jsonb_build_object('name', pg_temp.word('Nguyễn Trần Lê Phạm', 'contact', n) || ' ' || family,
                          'relation', pg_temp.word('parent spouse child sibling', 'relation', n),
                          'phone', '0199' || lpad((n + 1)::text, 7, '0')),
       CASE WHEN n % 17 = 0 THEN ARRAY['pacemaker'] WHEN n % 13 = 0 THEN ARRAY['osteoporosis'] END,
       pg_temp.seed_id('user', p.clinic * 10 + 1)
FROM seed_patients AS p
CROSS JOIN LATERAL (
    SELECT pg_temp.word(
               'Nguyễn Nguyễn Nguyễn Nguyễn Trần Trần Lê Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý',
               'family', n) AS family,
           CASE WHEN gender = 'female' THEN
               pg_temp.word('Thị Thị Thị Ngọc Thu Thanh Hồng Kim Mỹ Phương', 'middle', n) || ' ' || pg_temp.word(
                   'Anh Bích Chi Dung Giang Hà Hạnh Hiền Hoa Hương Lan Linh Loan Mai Nga Ngân Nhung Oanh Phượng Quỳnh '
                   'Thảo Thủy Trang Tuyết Vân Yến', 'given', n)
           ELSE
               pg_temp.word('Văn Văn Văn Đức Hữu Minh Quang Thanh Quốc Xuân', 'middle', n) || ' ' || pg_temp.word(
                   'An Bảo Bình Cường Dũng Đạt Hải Hiếu Hùng Huy Khang Kiên Lâm Long Mạnh Nam Phong Phúc Quân Sơn Tài '
                   'Thắng Thịnh Tuấn Việt Vinh', 'given', n)
           END AS given,
           1 + pg_temp.pick('street', n, 300) AS street
) AS name;

INSERT INTO insurance_info (id, patient_id, provider, provider_type, policy_number, coverage_percentage, valid_from, valid_to,
                            is_primary, verification_status, verification_date, bhyt_card_number, bhyt_prefix_code,
                            bhyt_coverage_percent, bhyt_copay_rate)
SELECT pg_temp.seed_id('insurance', n), p.id, 'Bảo hiểm xã hội Việt Nam', 'bhyt', card, coverage_percent,
       date_trunc('year', start)::date, date_trunc('year', today)::date + 364, true, 'verified', start + time '08:00',
       card, prefix, coverage_percent, copay_rate
FROM seed_patients AS p
-- Two digits of the province, ten of the person.
CROSS JOIN LATERAL (SELECT prefix || lpad((1 + n % 96)::text, 2, '0') || lpad(n::text, 10, '0') AS card) AS made
WHERE prefix IS NOT NULL
UNION ALL
SELECT pg_temp.seed_id('insurance', n), p.id, 'Sample Private Insurance', 'private', 'PRV' || n, 70,
       date_trunc('year', start)::date, NULL, true, 'pending', NULL, NULL, NULL, NULL, NULL
FROM seed_patients AS p
WHERE prefix IS NULL AND n % 20 = 9;

INSERT INTO treatment_plans (id, patient_id, therapist_id, clinic_id, plan_name, status, start_date, end_date,
                             diagnosis_description, diagnosis_description_vi, short_term_goals, frequency_per_week,
                             total_sessions_planned, sessions_completed, patient_consent_at, created_by)
SELECT plan_id, p.id, therapist_id, clinic_id, name_en || ', ' || to_char(start, 'YYYY-MM'),
       CASE WHEN today - start > 84 THEN CASE WHEN n % 12 = 0 THEN 'discontinued' ELSE 'completed' END
            WHEN n % 15 = 0 THEN 'on_hold' ELSE 'active' END::treatment_plan_status,
       start, CASE WHEN today - start > 84 THEN start + 84 END, name_en || ' (' || icd10 || ')', name_vi,
       '[{"type": "short_term", "description": "Pain below 3 of 10", "description_vi": "Đau dưới 3 trên 10",
          "measurable_criteria": "VAS below 3", "target_timeframe_weeks": 4}]'::jsonb, 2, 12,
       least(3, (today - start) / 7), start + time '09:00', therapist_id
FROM seed_patients AS p;

-- Three sessions of each patient, a week apart; those to come are appointments only.
CREATE TEMPORARY TABLE seed_visits ON COMMIT DROP AS
SELECT p.n * 4 + k AS n, k, p.n AS patient_n, p.id AS patient_id, p.clinic_id, p.clinic, p.therapist_id, p.plan_id, p.today,
       p.prefix, p.coverage_percent,
       CASE WHEN k < 3 THEN start + 7 * k ELSE today + 1 + pg_temp.pick('next', p.n, 28) END AS day,
       time '08:00' + interval '30 minutes' * pg_temp.pick('hour', p.n * 4 + k, 18) AS hour,
       pg_temp.pick('shows up', p.n * 4 + k, 20) AS fate
FROM seed_patients AS p
CROSS JOIN generate_series(0, 3) AS k
WHERE k < 3 AND start + 7 * k <= today OR k = 3 AND today - start <= 84;

ANALYZE seed_visits;

INSERT INTO appointments (id, clinic_id, patient_id, therapist_id, treatment_plan_id, appointment_date, start_time, end_time,
                          duration_minutes, appointment_type, status, room, cancellation_reason, created_by)
SELECT pg_temp.seed_id('appointment', n), clinic_id, patient_id, therapist_id, plan_id, day, hour, hour + interval '45 minutes',
       45, CASE WHEN k = 0 THEN 'initial_evaluation' ELSE 'follow_up' END::appointment_type,
       CASE WHEN k = 3 THEN CASE WHEN fate < 10 THEN 'confirmed' ELSE 'scheduled' END
            WHEN fate = 0 THEN 'cancelled' WHEN fate = 1 THEN 'no_show' ELSE 'completed' END::appointment_status,
       'Room ' || 1 + n % 6, CASE WHEN k < 3 AND fate = 0 THEN 'patient is ill' END,
       pg_temp.seed_id('user', clinic * 10 + 1)
FROM seed_visits
ON CONFLICT DO NOTHING; -- a therapist who has another one at that time (024)

INSERT INTO treatment_sessions (id, patient_id, treatment_plan_id, therapist_id, clinic_id, appointment_id, session_date,
                                scheduled_start_time, duration_minutes, status, pain_level_pre, pain_level_post,
                                interventions_performed, tolerance, patient_report, patient_report_vi, billing_codes,
                                therapist_signature_at, created_by)
SELECT pg_temp.seed_id('session', n), patient_id, plan_id, therapist_id, clinic_id, pg_temp.seed_id('appointment', n), day,
       hour, 45, 'completed', 7 - k, 6 - 2 * k, '[{"code": "PT001", "minutes": 30}, {"code": "PT002", "minutes": 15}]'::jsonb,
       'good', 'Better than last week', 'Đỡ hơn tuần trước', ARRAY['PT001', 'PT002'], day + time '18:00', therapist_id
FROM seed_visits
WHERE k < 3 AND fate > 1;

-- Scores: pain three times, the measure of the problem twice; every tenth patient over two years. The change goes from
-- a fifth of the way to more than all of it, so that some cross the MCID and some do not.
INSERT INTO outcome_measures (id, patient_id, library_id, measure_type, measure_type_vi, baseline_score, current_score,
                              target_score, measurement_date, assessed_by, mcid_threshold, created_by)
SELECT pg_temp.seed_id('measure ' || lib.measure_type, p.n * 8 + k), p.id, lib.id, lib.measure_type, lib.measure_type_vi,
       baseline, round(baseline + (target - baseline) * k / last * (0.2 + pg_temp.pick('progress', p.n, 10) / 10.0), 1),
       target, day, therapist_id, lib.mcid_threshold, therapist_id
FROM seed_patients AS p
CROSS JOIN LATERAL (VALUES ('VAS', 2), (p.measure, CASE WHEN p.n % 10 = 0 THEN 5 ELSE 1 END)) AS series (measure, last)
JOIN outcome_measures_library AS lib ON lib.measure_type = series.measure
CROSS JOIN LATERAL (
    SELECT round(CASE WHEN higher_is_better THEN scale_min + (scale_max - scale_min) * 0.4
                      ELSE scale_min + (scale_max - scale_min) * 0.6 END
                 + (scale_max - scale_min) / 100 * pg_temp.pick('baseline ' || series.measure, p.n, 20), 1) AS baseline,
           round(CASE WHEN higher_is_better THEN scale_min + (scale_max - scale_min) * 0.9
                      ELSE scale_min + (scale_max - scale_min) * 0.1 END, 1) AS target
) AS score
CROSS JOIN generate_series(0, series.last) AS k
CROSS JOIN LATERAL (
    SELECT CASE WHEN series.last = 5 THEN greatest(p.today - 730, date '2024-01-01') + 140 * k ELSE p.start + 28 * k END AS day
) AS date
WHERE day <= p.today;

INSERT INTO patient_protocols (id, patient_id, protocol_id, therapist_id, clinic_id, treatment_plan_id, assigned_date,
                               start_date, target_end_date, progress_status, sessions_completed, created_by)
SELECT pg_temp.seed_id('protocol', n), p.id, protocol.id, therapist_id, p.clinic_id, plan_id, start, start,
       start + protocol.duration_weeks * 7, CASE WHEN today - start > 84 THEN 'completed' ELSE 'active' END,
       least(3, (today - start) / 7), therapist_id
FROM seed_patients AS p
JOIN clinical_protocols AS protocol ON protocol.clinic_id IS NULL AND p.icd10 = ANY (protocol.applicable_diagnoses);

-- One invoice for each session: what the insurance covers, what the patient pays, and some that are open.
CREATE TEMPORARY TABLE seed_invoices ON COMMIT DROP AS
SELECT v.n, pg_temp.seed_id('invoice', v.n) AS id, v.clinic_id, v.clinic, v.patient_id, v.day, v.patient_n, v.prefix,
       price AS total, round(price * coalesce(v.coverage_percent, 0) / 100) * (v.prefix IS NOT NULL)::int AS insured,
       CASE WHEN pg_temp.pick('pays', v.n, 10) = 0 THEN 'pending' WHEN pg_temp.pick('pays', v.n, 10) = 1 THEN 'partially_paid'
            ELSE 'paid' END AS status
FROM seed_visits AS v
CROSS JOIN (
    SELECT sum(unit_price) AS price FROM pt_service_codes WHERE clinic_id IS NULL AND code IN ('PT001', 'PT002')
) AS prices
WHERE v.k < 3 AND v.fate > 1;

INSERT INTO invoices (id, clinic_id, patient_id, treatment_session_id, invoice_number, invoice_date, subtotal_amount,
                      total_amount, insurance_amount, copay_amount, balance_due, status, bhyt_claim_number,
                      bhyt_claim_status, created_by)
SELECT id, clinic_id, patient_id, pg_temp.seed_id('session', n), 'INV' || lpad(n::text, 8, '0'), day, total, total, insured,
       total - insured,
       CASE WHEN status = 'pending' THEN total - insured
            WHEN status = 'partially_paid' THEN (total - insured) - trunc((total - insured) / 2)
           ELSE 0 END,
       status, CASE WHEN insured > 0 THEN 'BHYT' || lpad(n::text, 10, '0') END, CASE WHEN insured > 0 THEN 'approved' END,
       pg_temp.seed_id('user', clinic * 10 + 1)
FROM seed_invoices;

INSERT INTO invoice_line_items (id, invoice_id, service_code_id, description, description_vi, unit_price, total_price,
                                is_bhyt_covered, insurance_covered_amount, sort_order)
SELECT pg_temp.seed_id('line ' || code.code, n), i.id, code.id, code.service_name, code.service_name_vi, code.unit_price,
       code.unit_price, code.is_bhyt_covered, round(code.unit_price * i.insured / i.total), row_number() OVER (
           PARTITION BY i.id ORDER BY code.code)
FROM seed_invoices AS i
JOIN pt_service_codes AS code ON code.clinic_id IS NULL AND code.code IN ('PT001', 'PT002');

INSERT INTO payments (id, invoice_id, clinic_id, amount, payment_method, payment_date, transaction_reference,
                      receipt_number, created_by)
SELECT pg_temp.seed_id('payment bhyt', n), id, clinic_id, insured, 'bhyt', day + 30 + time '10:00', 'CLAIM' || n, NULL,
       pg_temp.seed_id('user', clinic * 10)
FROM seed_invoices
WHERE insured > 0
UNION ALL
SELECT pg_temp.seed_id('payment', n), id, clinic_id,
       CASE WHEN status = 'partially_paid' THEN trunc((total - insured) / 2) ELSE total - insured END,
       pg_temp.word('cash cash card bank_transfer momo zalopay vnpay', 'method', n), day + time '11:30',
       'TX' || n, 'R' || lpad(n::text, 8, '0'), pg_temp.seed_id('user', clinic * 10 + 1)
FROM seed_invoices
WHERE status <> 'pending' AND total > insured;

INSERT INTO checklist_templates (id, name, name_vi, code, template_type, body_region, settings)
SELECT pg_temp.seed_id('template', n), 'Checklist: ' || name_en, 'Bảng kiểm: ' || name_vi, 'SEED' || n, 'follow_up',
       region::body_region, '{"items": 3}'::jsonb
FROM seed_problems
ON CONFLICT (id) DO NOTHING;

INSERT INTO visit_checklists (id, template_id, template_version, patient_id, treatment_session_id, therapist_id, clinic_id,
                              status, progress_percentage, started_at, completed_at, created_by)
SELECT pg_temp.seed_id('checklist', n), pg_temp.seed_id('template', patient_n % 7), 1, patient_id,
       pg_temp.seed_id('session', n), therapist_id, clinic_id, 'completed', 100, day + hour, day + hour + interval '20 minutes',
       therapist_id
FROM seed_visits
WHERE k = 0 AND fate > 1 AND patient_n % 4 = 0;

INSERT INTO visit_checklist_responses (id, visit_checklist_id, checklist_item_id, response_value, created_by)
SELECT pg_temp.seed_id('response', v.n * 4 + item), pg_temp.seed_id('checklist', v.n), pg_temp.seed_id('item', item),
       jsonb_build_object('value', pg_temp.pick('response', v.n * 4 + item, 10)), v.therapist_id
FROM seed_visits AS v
CROSS JOIN generate_series(1, 3) AS item
WHERE v.k = 0 AND v.fate > 1 AND v.patient_n % 4 = 0;

-- Whose treatment is over has been discharged, with the comparison and the home exercises that the guide describes: of each
-- measure the last score before the discharge beside the baseline. Improvement is a share of the baseline, and positive
-- when the patient is better, whichever way the scale runs.
INSERT INTO discharge_plans (id, patient_id, treatment_plan_id, therapist_id, clinic_id, planned_discharge_date,
                             actual_discharge_date, status, discharge_reason, baseline_comparison, outcome_trending,
                             hep_exercises, created_by)
SELECT pg_temp.seed_id('discharge', n), p.id, plan_id, therapist_id, clinic_id, start + 84, start + 84, 'completed',
       CASE WHEN n % 12 = 0 THEN 'patient_request' WHEN n % 3 = 0 THEN 'goals_partially_met' ELSE 'goals_met' END,
       jsonb_build_object('measures', scores.measures),
       jsonb_build_object('measures', scores.series, 'pain_levels', scores.series -> 'VAS'), exercises.program, therapist_id
FROM seed_patients AS p
JOIN seed_exercises AS exercises USING (icd10)
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
               'name', measure_type, 'name_vi', measure_type_vi, 'baseline_score', baseline_score,
               'discharge_score', discharge_score, 'target_score', target_score,
               'improvement_percent', round(
                   CASE WHEN higher_is_better THEN discharge_score - baseline_score ELSE baseline_score - discharge_score END
                   * 100 / nullif(baseline_score, 0), 1),
               'mcid_met', mcid_met) ORDER BY measure_type) AS measures,
           jsonb_object_agg(measure_type, series) AS series
    FROM (
        SELECT m.measure_type, m.measure_type_vi, lib.higher_is_better,
               (array_agg(m.baseline_score ORDER BY measurement_date DESC))[1] AS baseline_score,
               (array_agg(m.current_score ORDER BY measurement_date DESC))[1] AS discharge_score,
               (array_agg(m.target_score ORDER BY measurement_date DESC))[1] AS target_score,
               (array_agg(m.mcid_met ORDER BY measurement_date DESC))[1] AS mcid_met,
               jsonb_agg(jsonb_build_object('date', measurement_date, 'score', m.current_score) ORDER BY measurement_date)
                   AS series
        FROM outcome_measures AS m
        JOIN outcome_measures_library AS lib ON lib.id = m.library_id
        WHERE m.patient_id = p.id AND m.measurement_date <= p.start + 84
        GROUP BY m.measure_type, m.measure_type_vi, lib.higher_is_better
    ) AS measure
) AS scores
WHERE today - start > 84;

-- Read back by the names of the guide: every measure with a score of that patient behind it, better as its scale runs.
DO $check$
DECLARE
    wrong bigint;
BEGIN
    SELECT count(*) INTO wrong
    FROM seed_patients AS p
    LEFT JOIN discharge_plans AS d ON d.id = pg_temp.seed_id('discharge', p.n)
    WHERE p.today - p.start > 84 AND (
        (coalesce(jsonb_array_length(d.baseline_comparison -> 'measures'), 0) = 0
         OR coalesce(jsonb_array_length(d.hep_exercises), 0) = 0)
        OR EXISTS (
            SELECT FROM jsonb_to_recordset(d.baseline_comparison -> 'measures') AS measure (
                name text, baseline_score numeric, discharge_score numeric, improvement_percent numeric, mcid_met boolean)
            LEFT JOIN outcome_measures_library AS lib ON lib.measure_type = measure.name
            WHERE (sign(improvement_percent) = sign(discharge_score - baseline_score)
                                               * CASE WHEN lib.higher_is_better THEN 1 ELSE -1 END) IS NOT TRUE
               OR (mcid_met = (abs(discharge_score - baseline_score) >= lib.mcid_threshold)) IS NOT TRUE
               OR NOT EXISTS (SELECT FROM outcome_measures AS m
                              WHERE m.patient_id = p.id AND m.measure_type = measure.name
                                AND m.baseline_score = measure.baseline_score AND m.current_score = measure.discharge_score
                                AND m.measurement_date <= d.actual_discharge_date))
        OR EXISTS (
            SELECT FROM jsonb_to_recordset(d.hep_exercises) AS exercise (
                name text, name_vi text, sets int, reps int, frequency text)
            WHERE name IS NULL OR name_vi IS NULL OR frequency IS NULL OR (sets > 0 AND reps > 0) IS NOT TRUE));
    IF wrong > 0 THEN
        RAISE EXCEPTION '% discharge plans lack what the guide names in baseline_comparison or hep_exercises, or contradict '
                        'the scores', wrong;
    END IF;
END
$check$;

INSERT INTO discharge_summaries (id, discharge_plan_id, patient_id, therapist_id, summary_text, summary_text_vi,
                                 diagnosis_at_discharge, diagnosis_at_discharge_vi, recommendations, recommendations_vi,
                                 therapist_signature_at, created_by)
SELECT pg_temp.seed_id('summary', n), pg_temp.seed_id('discharge', n), p.id, therapist_id,
       'Twelve weeks of treatment for ' || lower(name_en), 'Mười hai tuần điều trị ' || lower(name_vi), name_en, name_vi,
       'Exercises at home, three times a week', 'Tập tại nhà ba lần mỗi tuần', start + 84 + time '17:00', therapist_id
FROM seed_patients AS p
WHERE today - start > 84;

UPDATE organizations
SET settings = settings || jsonb_build_object('seed_patients', current_setting('seed.patients')::int)
WHERE id = pg_temp.seed_id('organization', 1)
  AND coalesce((settings ->> 'seed_patients')::int, 0) < current_setting('seed.patients')::int;

DROP FUNCTION pg_temp.word, pg_temp.pick, pg_temp.seed_id;

-- What follows plans with these rows, and shows their sizes, without waiting for autovacuum.
ANALYZE organizations, clinics, users, patients, insurance_info, treatment_plans, appointments, treatment_sessions,
        outcome_measures, patient_protocols, invoices, invoice_line_items, payments, checklist_templates,
        visit_checklists, visit_checklist_responses, discharge_plans, discharge_summaries;

COMMIT;
