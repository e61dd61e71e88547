-- Seed: development_data
-- Description: Invented clinics, staff, patients and their records, for development and load tests; never for production
-- Needs: migrations 001-015
-- By hand: psql -U emr -d physioflow -f development_data.sql
--          PGOPTIONS='-c seed.scale=100' psql -U emr -d physioflow -f development_data.sql
--
-- seed.scale is a whole number: 200 patients each, about 1000 outcome measures. Every row follows from its number alone,
-- so running it again changes nothing, and a larger scale adds what is missing. Days count back from the day of the first
-- run. Nobody is real: names are put together, and numbers 0199... were taken out of service in Vietnam in 2018.
-- What happened lies before that day, and appointments from that day on are to come.
-- It is one transaction: also by hand it stands as a whole or not at all.

BEGIN;

-- Days and hours are those of the clinics.
SET LOCAL TimeZone = 'Asia/Ho_Chi_Minh';

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
RETURN uuid_generate_v5('c2b0f7e5-6d1f-5d60-8e1f-1e7b2a1d6fee'::uuid, p_kind || ' ' || p_number);

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

-- Provinces that exist before and after the mergers of 2025, by their code on a BHYT card.
CREATE TEMPORARY TABLE seed_provinces ON COMMIT DROP AS
SELECT * FROM (VALUES
    (1, '01', 'Hà Nội'), (2, '79', 'Thành phố Hồ Chí Minh'), (3, '48', 'Đà Nẵng'), (4, '92', 'Cần Thơ'),
    (5, '31', 'Hải Phòng'), (6, '46', 'Huế'), (7, '75', 'Đồng Nai'), (8, '38', 'Thanh Hóa'), (9, '40', 'Nghệ An'),
    (10, '56', 'Khánh Hòa'), (11, '22', 'Quảng Ninh'), (12, '68', 'Lâm Đồng')
) AS province (n, code, name);

-- A clinic has 10,000 patients at most, and two there are always.
CREATE TEMPORARY TABLE seed_clinics ON COMMIT DROP AS
SELECT clinic.n, pg_temp.seed_id('clinic', clinic.n) AS id, province.name AS city
FROM generate_series(1, greatest(2, ceil(current_setting('seed.patients')::int / 10000.0)::int)) AS clinic (n)
JOIN seed_provinces AS province ON province.n = 1 + (clinic.n - 1) % 12;

INSERT INTO clinics (id, organization_id, name, name_vi, address, address_vi, phone, email)
SELECT id, pg_temp.seed_id('organization', 1), 'Sample Clinic ' || n, 'Phòng khám Mẫu ' || n,
       n || ' Invented Street, ' || initcap(vietnamese_unaccent(city)), n || ' đường Tưởng Tượng, ' || city,
       '0199' || lpad(n::text, 7, '0'), 'clinic' || n || '@example.com'
FROM seed_clinics
ON CONFLICT (id) DO NOTHING;

-- Why people come: age in years at the first visit, how many, measure, region, service beside exercises, exercise at home.
-- Where a protocol names the diagnosis, weeks, phases, goals and exercises are those of the protocol; else it is 4 weeks.
CREATE TEMPORARY TABLE seed_problems ON COMMIT DROP AS
SELECT problem.n, icd10, name_en, name_vi, age_from, age_to, share, measure, region, code, protocol.id AS protocol_id,
       coalesce(duration_weeks, 4) AS weeks, icd10 ~ '^[MS]' AS hurts,
       (progression_criteria #>> '{phase_transitions,0,typical_week}')::int AS intermediate_week,
       (progression_criteria #>> '{phase_transitions,1,typical_week}')::int AS advanced_week,
       coalesce(jsonb_path_query_array(goals, '$[*] ? (@.type == "short_term")'), jsonb_build_array(jsonb_build_object(
           'type', 'short_term', 'target_timeframe_weeks', 2, 'measurable_criteria', measure || ' better by its MCID',
           'description', 'Do a daily activity more easily',
           'description_vi', 'Thực hiện một sinh hoạt hằng ngày dễ hơn'))) AS short_term,
       coalesce(jsonb_path_query_array(goals, '$[*] ? (@.type == "long_term")'), jsonb_build_array(jsonb_build_object(
           'type', 'long_term', 'target_timeframe_weeks', 4, 'measurable_criteria', measure || ' at its target',
           'description', 'Return to daily activities',
           'description_vi', 'Trở lại sinh hoạt hằng ngày'))) AS long_term,
       coalesce(program, jsonb_build_array(jsonb_build_object(
           'name', exercise, 'name_vi', exercise_vi, 'sets', 3, 'reps', 10,
           'frequency', '2x daily', 'frequency_vi', '2 lần mỗi ngày'))) AS program
FROM (VALUES
    (0, 'R62.0', 'Delayed milestone', 'Chậm mốc phát triển', 1, 4, 2, 'PSFS', 'other', 'PT004', NULL, NULL),
    (1, 'F82', 'Motor developmental disorder', 'Rối loạn phát triển vận động', 2, 7, 2, 'PSFS', 'other', 'PT004', NULL, NULL),
    (2, 'G80.1', 'Spastic diplegia', 'Bại não thể co cứng hai chi dưới', 1, 15, 1, 'PSFS', 'other', 'PT004',
     'Sit-to-Stand', 'Tập đứng dậy từ ngồi'),
    (3, 'M41.1', 'Juvenile scoliosis', 'Vẹo cột sống thiếu niên', 10, 18, 3, 'PSFS', 'thoracic_spine', 'PT002',
     'Side Plank', 'Plank nghiêng'),
    (4, 'S52.5', 'Fracture of the wrist', 'Gãy đầu dưới xương quay', 7, 80, 1, 'PSFS', 'wrist_hand_right', 'PT002',
     'Wrist Flexion and Extension', 'Gập duỗi cổ tay'),
    (5, 'S93.4', 'Ankle sprain', 'Bong gân cổ chân', 12, 45, 2, 'LEFS', 'ankle_foot_right', 'PT003',
     'Heel Raises', 'Nhón gót'),
    (6, 'S83.5', 'Sprain of the cruciate ligament', 'Bong gân dây chằng chéo', 16, 45, 2, 'PSFS', 'knee_left', 'PT004',
     'Straight Leg Raise', 'Nâng chân thẳng'),
    (7, 'M54.2', 'Neck pain', 'Đau cổ', 18, 75, 4, 'NDI', 'cervical_spine', 'PT002', 'Chin Tucks', 'Gập cằm'),
    (8, 'M54.5', 'Low back pain', 'Đau thắt lưng', 18, 80, 6, 'ODI', 'lumbar_spine', 'PT002', NULL, NULL),
    (9, 'M77.1', 'Tennis elbow', 'Viêm lồi cầu ngoài', 30, 60, 3, 'DASH', 'elbow_right', 'PT003',
     'Wrist Extensor Stretch', 'Giãn cơ duỗi cổ tay'),
    (10, 'M75.1', 'Rotator cuff syndrome', 'Hội chứng chóp xoay', 40, 80, 4, 'QuickDASH', 'shoulder_right', 'PT002',
     NULL, NULL),
    (11, 'M17.1', 'Knee osteoarthritis', 'Thoái hóa khớp gối', 50, 90, 6, 'LEFS', 'knee_left', 'PT003', NULL, NULL),
    (12, 'I63.9', 'Stroke', 'Đột quỵ', 50, 90, 3, 'FIM', 'other', 'PT004', NULL, NULL)
) AS problem (n, icd10, name_en, name_vi, age_from, age_to, share, measure, region, code, exercise, exercise_vi)
LEFT JOIN LATERAL (
    SELECT * FROM clinical_protocols WHERE clinic_id IS NULL AND icd10 = ANY (applicable_diagnoses)
    ORDER BY protocol_name
    LIMIT 1
) AS protocol ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
               'name', e ->> 'name', 'name_vi', e ->> 'name_vi', 'sets', e -> 'sets', 'reps', e -> 'reps',
               'frequency', coalesce(e ->> 'frequency_per_day', '1') || 'x daily',
               'frequency_vi', coalesce(e ->> 'frequency_per_day', '1') || ' lần mỗi ngày')) AS program
    FROM jsonb_array_elements(protocol.exercises) AS e WHERE e ->> 'phase' <> 'initial'
) AS home ON true;

-- The visits of a plan: weekly at first, then every four weeks, and the discharge.
CREATE TEMPORARY TABLE seed_schedule ON COMMIT DROP AS
SELECT problem, row_number() OVER visits - 1 AS k, week, lag(week) OVER visits AS week_before, is_last,
       count(*) OVER (PARTITION BY problem) AS planned
FROM (
    SELECT n AS problem, week, false AS is_last FROM seed_problems, unnest(ARRAY[0, 1, 2, 4, 8, 12, 16, 20]) AS week
    WHERE week < weeks
    UNION ALL
    SELECT n, weeks, true FROM seed_problems
) AS visit
WINDOW visits AS (PARTITION BY problem ORDER BY week);

-- Who comes: cards of every prefix and those who have none, their age in years at the first visit, how many of 107. Cards
-- of pupils (HS4) and students (SV4) exist in real life, but validate_bhyt_card does not know them.
CREATE TEMPORARY TABLE seed_groups ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY card.name, share) - 1 AS n, card.name, card.age_from, card.age_to,
       CASE WHEN length(card.name) = 3 THEN card.name END AS prefix,
       CASE WHEN length(card.name) = 3 THEN coalesce(rule.coverage_percent, 80) END AS coverage_percent
FROM (VALUES
    ('TE1', 1, 4, 6), ('TE2', 2, 13, 3), ('TE3', 7, 17, 2), ('HS4', 7, 16, 5), ('SV4', 18, 23, 3),
    ('DN1', 20, 58, 12), ('DN2', 20, 58, 5), ('DN3', 20, 70, 2), ('HC1', 23, 58, 8), ('HC2', 61, 88, 4), ('HC3', 20, 75, 2),
    ('HC4', 22, 55, 2), ('NN1', 20, 75, 6), ('NN2', 20, 65, 4), ('NN3', 20, 65, 2), ('TN1', 20, 75, 4), ('TN2', 20, 75, 4),
    ('XK1', 18, 85, 3), ('XK2', 18, 85, 3), ('CB1', 60, 88, 3), ('CB2', 40, 85, 2), ('TX1', 62, 90, 10), ('TX2', 62, 90, 2),
    ('private', 25, 60, 5), ('none', 20, 60, 5)
) AS card (name, age_from, age_to, weight)
CROSS JOIN generate_series(1, weight) AS share
LEFT JOIN bhyt_validation_rules AS rule ON rule.is_active AND rule.prefix_codes ? card.name;

-- What people of a group may have: the ages of both overlap by a year or more.
CREATE TEMPORARY TABLE seed_cases ON COMMIT DROP AS
SELECT row_number() OVER (PARTITION BY people.name ORDER BY problem.n, repeated) - 1 AS n,
       count(*) OVER (PARTITION BY people.name)::int AS many, people.name, problem.n AS problem,
       -- Days of age, so that neither year is left.
       366 * greatest(people.age_from, problem.age_from) AS age_from,
       365 * least(people.age_to, problem.age_to) AS age_to
FROM (SELECT DISTINCT name, age_from, age_to FROM seed_groups) AS people
JOIN seed_problems AS problem
  ON greatest(people.age_from, problem.age_from) < least(people.age_to, problem.age_to)
CROSS JOIN generate_series(1, problem.share) AS repeated;

CREATE TEMPORARY TABLE seed_patients ON COMMIT DROP AS
SELECT s.n, pg_temp.seed_id('patient', s.n) AS id, pg_temp.seed_id('plan', s.n) AS plan_id,
       clinic.id AS clinic_id, clinic.n AS clinic, place.therapist,
       pg_temp.seed_id('user', clinic.n * 1000 + place.therapist) AS therapist_id,
       province.code AS province, province.name AS city,
       people.name AS card, people.prefix, people.coverage_percent,
       problem.n AS problem, problem.icd10, problem.name_en, problem.name_vi, problem.measure, problem.hurts, problem.weeks,
       problem.code,
       CASE WHEN pg_temp.pick('gender', s.n, 2) = 0 THEN 'female' ELSE 'male' END AS gender,
       start - illness.age_from - pg_temp.pick('age', s.n, illness.age_to - illness.age_from) AS born,
       start, until, until < today AS ended, course.stops, pg_temp.pick('hold', s.n, 15) = 0 AND until >= today AS on_hold,
       -- The way from the first score to the target: one of ten gets worse, two stay as they are.
       (ARRAY[-0.3, 0, 0, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1])[1 + pg_temp.pick('progress', s.n, 10)] AS progress,
       time '07:00' + place.slot / 6 * interval '45 minutes'
       + CASE WHEN place.slot / 6 > 5 THEN interval '90 minutes' ELSE interval '0' END AS hour,
       today
FROM generate_series(1, current_setting('seed.patients')::int) AS s (n)
CROSS JOIN seed_day
JOIN seed_clinics AS clinic ON clinic.n = 1 + CASE WHEN s.n <= 20000 THEN s.n % 2 ELSE (s.n - 1) / 10000 END
-- Seven therapists have 500 patients of a clinic. Each patient has a time of the week alone with a therapist, one of 72
-- (12 a day from 07:00 and from 13:00, Monday to Saturday); so appointments never overlap.
CROSS JOIN LATERAL (SELECT CASE WHEN s.n <= 20000 THEN (s.n - 1) / 2 ELSE (s.n - 1) % 10000 END AS i) AS of_clinic
CROSS JOIN LATERAL (
    SELECT 3 + i / 500 * 7 + i % 500 % 7 AS therapist, i % 500 / 7 * 5 % 72 AS slot
) AS place
JOIN seed_groups AS people ON people.n = s.n % (SELECT count(*) FROM seed_groups)
JOIN seed_cases AS illness ON illness.name = people.name
JOIN seed_problems AS problem ON problem.n = illness.problem
JOIN seed_provinces AS province ON province.n = 1 + CASE WHEN pg_temp.pick('moved', s.n, 3) > 0 THEN (clinic.n - 1) % 12
                                                         ELSE pg_temp.pick('province', s.n, 12) END
-- Of 100 patients 60 are in treatment, 20 were until three months ago, and 20 before that.
CROSS JOIN LATERAL (
    SELECT date_trunc('week', today - CASE
               WHEN pg_temp.pick('stage', s.n, 100) < 60 THEN 7 + pg_temp.pick('start', s.n, 7 * weeks - 7)
               WHEN pg_temp.pick('stage', s.n, 100) < 80 THEN 7 * weeks + 7 + pg_temp.pick('start', s.n, 83)
               ELSE 7 * weeks + 90 + pg_temp.pick('start', s.n, 440) END)::date + slot % 6 AS start,
           pg_temp.pick('stops', s.n, 12) = 0 AS stops
) AS course
CROSS JOIN LATERAL (SELECT start + 7 * CASE WHEN stops THEN 4 ELSE weeks END AS until) AS planned
WHERE illness.n = pg_temp.pick('problem', s.n, illness.many)
  -- Those that are there already have all their rows: scales are whole, and a run is one transaction.
  AND NOT EXISTS (SELECT FROM patients WHERE patients.id = pg_temp.seed_id('patient', s.n));

ANALYZE seed_patients;

-- Of a clinic one administrator, one at the desk, one assistant, and the therapists.
INSERT INTO users (id, clinic_id, email, first_name, last_name, first_name_vi, last_name_vi, role, license_number,
                   specializations)
SELECT pg_temp.seed_id('user', clinic * 1000 + k), clinic_id, 'user' || k || '@clinic' || clinic || '.example.com',
       initcap(vietnamese_unaccent(given)), initcap(vietnamese_unaccent(family)), given, family,
       coalesce((ARRAY['clinic_admin', 'front_desk', 'assistant'])[k + 1], 'therapist')::user_role,
       CASE WHEN k > 2 THEN 'CCHN-' || lpad((clinic * 1000 + k)::text, 6, '0') END,
       CASE WHEN k > 2 THEN ARRAY[(ARRAY['orthopaedics', 'neurology', 'paediatrics', 'sports'])[1 + k % 4]] END
FROM (
    SELECT n AS clinic, id AS clinic_id, k FROM seed_clinics, generate_series(0, 2) AS k
    UNION
    SELECT clinic, clinic_id, therapist FROM seed_patients
) AS staff
CROSS JOIN LATERAL (
    SELECT pg_temp.word('Nguyễn Trần Lê Phạm Hoàng Phan Vũ Đặng Bùi Đỗ', 'user family', clinic * 1000 + k) AS family,
           pg_temp.word('An Bình Châu Dung Giang Hạnh Khánh Linh Minh Nga Phúc Quỳnh Sơn Thảo Uyên', 'user given',
                        clinic * 1000 + k) AS given
) AS name
ON CONFLICT (id) DO NOTHING;

INSERT INTO patients (id, clinic_id, mrn, first_name, last_name, first_name_vi, last_name_vi, date_of_birth, gender, phone,
                      email, address, address_vi, emergency_contact, medical_alerts, created_by)
SELECT p.id, p.clinic_id, 'MRN' || lpad(n::text, 7, '0'),
       initcap(vietnamese_unaccent(given)), initcap(vietnamese_unaccent(family)), given, family, born, gender::gender_type,
       '0199' || lpad(n::text, 7, '0'), CASE WHEN n % 3 = 0 THEN 'patient' || n || '@example.com' END,
       street || ' Invented Street, ' || initcap(vietnamese_unaccent(city)), street || ' đường Tưởng Tượng, ' || city,
       jsonb_build_object('name', family || ' ' || pg_temp.word('Minh Thanh Ngọc Kim', 'contact middle', n) || ' '
                                  || pg_temp.word('An Bình Hà Linh Phúc Tâm', 'contact', n),
                          'relation', CASE WHEN born > today - 366 * 25 THEN 'parent' WHEN born < today - 366 * 60 THEN 'child'
                                           ELSE pg_temp.word('spouse spouse sibling', 'relation', n) END,
                          'phone', '0199' || lpad((n + 1)::text, 7, '0')),
       CASE WHEN born < today - 366 * 60 AND n % 9 < 2 THEN ARRAY[(ARRAY['pacemaker', 'osteoporosis'])[1 + n % 9]] END,
       pg_temp.seed_id('user', p.clinic * 1000 + 1)
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
SELECT pg_temp.seed_id('insurance', n), p.id, 'Bảo hiểm xã hội Việt Nam', 'bhyt', number, coverage_percent,
       date_trunc('year', start)::date, date_trunc('year', today)::date + 364, true, 'verified', start + time '07:00',
       number, prefix, coverage_percent, 100 - coverage_percent
FROM seed_patients AS p
-- Two digits of the province, ten of the person.
CROSS JOIN LATERAL (SELECT prefix || province || lpad(n::text, 10, '0')) AS made (number)
WHERE prefix IS NOT NULL
UNION ALL
SELECT pg_temp.seed_id('insurance', n), p.id, 'Sample Private Insurance', 'private', 'PRV' || n, 70,
       date_trunc('year', start)::date, NULL, true, 'pending', NULL, NULL, NULL, NULL, NULL
FROM seed_patients AS p
WHERE card = 'private';

-- The visits before today, and the next one of those in treatment.
CREATE TEMPORARY TABLE seed_visits ON COMMIT DROP AS
SELECT n, k, patient_n, patient_id, clinic_id, clinic, therapist, therapist_id, plan_id, coverage_percent, problem, today, day,
       hour, status, status = 'completed' AS done, is_last, share,
       CASE WHEN hurts THEN round(least(10, pain + (1 - pain) * share))::int END AS pain,
       CASE WHEN k = 0 THEN ARRAY['PT105'] WHEN week % 8 = 0 THEN ARRAY['PT106'] ELSE ARRAY['PT001', code] END AS codes
FROM (
    SELECT p.n * 16 + k AS n, k, week, planned.is_last, p.n AS patient_n, p.id AS patient_id, p.clinic_id, p.clinic,
           p.therapist, p.therapist_id, p.plan_id, p.coverage_percent, p.problem, p.code, p.today, p.hour, p.hurts, day,
           CASE WHEN day >= p.today + 7 THEN 'scheduled' WHEN day >= p.today THEN 'confirmed' WHEN k = 0 THEN 'completed'
                WHEN fate = 0 THEN 'cancelled' WHEN fate = 1 THEN 'no_show' ELSE 'completed' END AS status,
           p.progress * week / p.weeks AS share, 6 + pg_temp.pick('baseline VAS', p.n, 20) / 10.0 AS pain
    FROM seed_patients AS p
    JOIN seed_schedule AS planned USING (problem)
    CROSS JOIN LATERAL (SELECT p.start + 7 * week AS day, pg_temp.pick('shows up', p.n * 16 + k, 20) AS fate) AS date
    WHERE day <= p.until AND (day < p.today OR NOT p.on_hold AND p.start + 7 * week_before < p.today)
) AS visit;

ANALYZE seed_visits;

INSERT INTO treatment_plans (id, patient_id, therapist_id, clinic_id, plan_name, status, start_date, end_date,
                             diagnosis_description, diagnosis_description_vi, short_term_goals, long_term_goals,
                             frequency_per_week, session_duration_minutes, total_sessions_planned, sessions_completed,
                             home_exercise_program, patient_consent_at, created_by)
SELECT plan_id, p.id, therapist_id, clinic_id, p.name_en || ', ' || to_char(start, 'YYYY-MM'),
       CASE WHEN ended AND stops THEN 'discontinued' WHEN ended THEN 'completed' WHEN on_hold THEN 'on_hold'
            ELSE 'active' END::treatment_plan_status,
       start, CASE WHEN ended THEN until END, p.name_en || ' (' || p.icd10 || ')', p.name_vi, short_term, long_term, 1, 45,
       planned, held, program, start + time '07:00', therapist_id
FROM seed_patients AS p
JOIN seed_problems AS problem ON problem.n = p.problem
JOIN (SELECT problem, planned FROM seed_schedule WHERE k = 0) AS schedule USING (problem)
JOIN (SELECT patient_n, count(*) FILTER (WHERE done) AS held FROM seed_visits GROUP BY patient_n) AS visits
  ON visits.patient_n = p.n;

INSERT INTO appointments (id, clinic_id, patient_id, therapist_id, treatment_plan_id, appointment_date, start_time, end_time,
                          duration_minutes, appointment_type, status, room, cancellation_reason, created_by)
SELECT pg_temp.seed_id('appointment', n), clinic_id, patient_id, therapist_id, plan_id, day, hour, hour + interval '45 minutes',
       45, CASE WHEN k = 0 THEN 'initial_evaluation' WHEN is_last THEN 'discharge' WHEN k > 3 THEN 're_evaluation'
                ELSE 'follow_up' END::appointment_type,
       status::appointment_status, 'Room ' || therapist - 2, CASE WHEN status = 'cancelled' THEN 'patient is ill' END,
       pg_temp.seed_id('user', clinic * 1000 + 1)
FROM seed_visits;

INSERT INTO treatment_sessions (id, patient_id, treatment_plan_id, therapist_id, clinic_id, appointment_id, session_date,
                                scheduled_start_time, duration_minutes, status, pain_level_pre, pain_level_post,
                                interventions_performed, tolerance, patient_report, patient_report_vi, billing_codes,
                                therapist_signature_at, created_by)
SELECT pg_temp.seed_id('session', n), patient_id, plan_id, therapist_id, clinic_id, pg_temp.seed_id('appointment', n), day,
       hour, 45, 'completed', pain, greatest(pain - 1, 0),
       CASE WHEN codes[2] IS NULL THEN jsonb_build_array(jsonb_build_object('code', codes[1], 'minutes', 45))
            ELSE jsonb_build_array(jsonb_build_object('code', codes[1], 'minutes', 30),
                                   jsonb_build_object('code', codes[2], 'minutes', 15)) END,
       'good', CASE WHEN k = 0 THEN NULL WHEN share > 0 THEN 'Better than before' WHEN share < 0 THEN 'Worse than before'
                    ELSE 'No change' END,
       CASE WHEN k = 0 THEN NULL WHEN share > 0 THEN 'Đỡ hơn trước' WHEN share < 0 THEN 'Nặng hơn trước'
            ELSE 'Không thay đổi' END,
       codes, day + time '18:00', therapist_id
FROM seed_visits
WHERE done;

-- Scores at the first visit and every four weeks: of the measure of the problem, and of pain where it hurts. Whose treatment
-- ended long ago comes to be measured every ten weeks.
INSERT INTO outcome_measures (id, patient_id, library_id, measure_type, measure_type_vi, baseline_score, current_score,
                              target_score, measurement_date, assessed_by, treatment_session_id, mcid_threshold, created_by)
SELECT pg_temp.seed_id('measure ' || lib.measure_type, p.n * 32 + k), p.id, lib.id, lib.measure_type, lib.measure_type_vi,
       baseline, least(scale_max, round(baseline + (target - baseline) * share, digits)), target, day, p.therapist_id,
       session_id, lib.mcid_threshold, p.therapist_id
FROM (
    SELECT patient_n, k, day, share, pg_temp.seed_id('session', n) AS session_id FROM seed_visits
    WHERE done AND (k = 0 OR k > 2)
    UNION ALL
    SELECT n, 16 + k, until + 70 * k, progress, NULL FROM seed_patients, generate_series(1, 6) AS k
    WHERE NOT stops AND until + 70 * k < today
) AS measured
JOIN seed_patients AS p ON p.n = measured.patient_n
JOIN outcome_measures_library AS lib ON lib.measure_type = p.measure OR lib.measure_type = 'VAS' AND p.hurts
CROSS JOIN LATERAL (
    SELECT (scale_max = 10 OR lib.measure_type IN ('DASH', 'QuickDASH'))::int AS digits,
           CASE WHEN higher_is_better THEN 0.4 ELSE 0.6 END + pg_temp.pick('baseline ' || lib.measure_type, p.n, 20) / 100.0
               AS from_share,
           CASE WHEN higher_is_better THEN 0.9 ELSE 0.1 END AS to_share
) AS scale
CROSS JOIN LATERAL (
    SELECT round(scale_min + (scale_max - scale_min) * from_share, digits) AS baseline,
           round(scale_min + (scale_max - scale_min) * to_share, digits) AS target
) AS score;

-- A patient is in the phase of the week; without progress nobody comes to the last one.
INSERT INTO patient_protocols (id, patient_id, protocol_id, therapist_id, clinic_id, treatment_plan_id, assigned_date,
                               start_date, target_end_date, actual_end_date, progress_status, current_phase,
                               sessions_completed, custom_frequency_per_week, created_by)
SELECT pg_temp.seed_id('protocol', p.n), p.id, protocol_id, p.therapist_id, p.clinic_id, plan_id, start, start,
       start + 7 * p.weeks, plan.end_date, plan.status,
       CASE WHEN week >= advanced_week AND progress > 0 THEN 'advanced' WHEN week >= intermediate_week THEN 'intermediate'
            ELSE 'initial' END,
       plan.sessions_completed, plan.frequency_per_week, p.therapist_id
FROM seed_patients AS p
JOIN seed_problems AS problem ON problem.n = p.problem
JOIN treatment_plans AS plan ON plan.id = p.plan_id
CROSS JOIN LATERAL (SELECT (least(until, today) - start) / 7 AS week) AS so_far
WHERE protocol_id IS NOT NULL;

-- One invoice for each session. The insurer has settled all of them, a month later at most. Patients pay at once; of the last
-- three months some owe the half or all of their share.
CREATE TEMPORARY TABLE seed_invoices ON COMMIT DROP AS
SELECT v.n, pg_temp.seed_id('invoice', v.n) AS id, v.clinic_id, v.clinic, v.patient_id, v.coverage_percent, v.codes, v.day,
       v.hour, v.today, total, insured, total - insured AS share,
       CASE WHEN v.day < v.today - 90 OR pg_temp.pick('pays', v.n, 10) > 2 THEN total - insured
            WHEN pg_temp.pick('pays', v.n, 10) = 0 THEN 0 ELSE trunc((total - insured) / 2, -3) END AS paid
FROM seed_visits AS v
CROSS JOIN LATERAL (
    SELECT sum(unit_price) AS total,
           sum(CASE WHEN is_bhyt_covered THEN round(unit_price * coalesce(v.coverage_percent, 0) / 100) ELSE 0 END) AS insured
    FROM pt_service_codes WHERE clinic_id IS NULL AND pt_service_codes.code = ANY (v.codes)
    HAVING count(*) > 0
) AS prices
WHERE v.done;

INSERT INTO invoices (id, clinic_id, patient_id, treatment_session_id, invoice_number, invoice_date, subtotal_amount,
                      total_amount, insurance_amount, copay_amount, balance_due, status, bhyt_claim_number,
                      bhyt_claim_status, created_by)
SELECT id, clinic_id, patient_id, pg_temp.seed_id('session', n), 'INV' || lpad(n::text, 10, '0'), day, total, total, insured,
       share, share - paid,
       CASE WHEN paid = share THEN 'paid' WHEN paid + insured = 0 THEN 'pending' ELSE 'partially_paid' END,
       CASE WHEN insured > 0 THEN 'BHYT' || lpad(n::text, 10, '0') END, CASE WHEN insured > 0 THEN 'paid' END,
       pg_temp.seed_id('user', clinic * 1000 + 1)
FROM seed_invoices;

INSERT INTO invoice_line_items (id, invoice_id, service_code_id, description, description_vi, unit_price, total_price,
                                is_bhyt_covered, insurance_covered_amount, sort_order)
SELECT pg_temp.seed_id('line ' || code.code, n), i.id, code.id, code.service_name, code.service_name_vi, code.unit_price,
       code.unit_price, code.is_bhyt_covered,
       CASE WHEN is_bhyt_covered THEN round(code.unit_price * coalesce(i.coverage_percent, 0) / 100) ELSE 0 END,
       array_position(i.codes, code.code::text)
FROM seed_invoices AS i
JOIN pt_service_codes AS code ON code.clinic_id IS NULL AND code.code = ANY (i.codes);

INSERT INTO payments (id, invoice_id, clinic_id, amount, payment_method, payment_date, transaction_reference,
                      receipt_number, created_by)
SELECT pg_temp.seed_id('payment bhyt', n), id, clinic_id, insured, 'bhyt', least(day + 30, today - 1) + time '17:00',
       'CLAIM' || n, NULL, pg_temp.seed_id('user', clinic * 1000)
FROM seed_invoices
WHERE insured > 0
UNION ALL
SELECT pg_temp.seed_id('payment', n), id, clinic_id, paid,
       pg_temp.word('cash cash card bank_transfer momo zalopay vnpay', 'method', n), day + hour + interval '1 hour',
       'TX' || n, 'R' || lpad(n::text, 10, '0'), pg_temp.seed_id('user', clinic * 1000 + 1)
FROM seed_invoices
WHERE paid > 0;

INSERT INTO checklist_templates (id, name, name_vi, code, template_type, body_region, settings)
SELECT pg_temp.seed_id('template', n), 'Checklist: ' || name_en, 'Bảng kiểm: ' || name_vi, 'SEED' || n, 'initial_evaluation',
       region::body_region, '{"items": 3}'::jsonb
FROM seed_problems
ON CONFLICT (id) DO NOTHING;

INSERT INTO visit_checklists (id, template_id, template_version, patient_id, treatment_session_id, therapist_id, clinic_id,
                              status, progress_percentage, started_at, completed_at, created_by)
SELECT pg_temp.seed_id('checklist', n), pg_temp.seed_id('template', problem), 1, patient_id,
       pg_temp.seed_id('session', n), therapist_id, clinic_id, 'completed', 100, day + hour, day + hour + interval '20 minutes',
       therapist_id
FROM seed_visits
WHERE k = 0 AND patient_n % 4 = 0;

INSERT INTO visit_checklist_responses (id, visit_checklist_id, checklist_item_id, response_value, created_by)
SELECT pg_temp.seed_id('response', v.n * 4 + item), pg_temp.seed_id('checklist', v.n), pg_temp.seed_id('item', item),
       jsonb_build_object('value', pg_temp.pick('response', v.n * 4 + item, 10)), v.therapist_id
FROM seed_visits AS v
CROSS JOIN generate_series(1, 3) AS item
WHERE v.k = 0 AND v.patient_n % 4 = 0;

-- Whose treatment is over has been discharged, with the comparison and the home exercises that the guide describes: of each
-- measure the last score before the discharge beside the baseline. Improvement is a share of the baseline, and positive
-- when the patient is better, whichever way the scale runs.
INSERT INTO discharge_plans (id, patient_id, treatment_plan_id, therapist_id, clinic_id, planned_discharge_date,
                             actual_discharge_date, status, discharge_reason, baseline_comparison, outcome_trending,
                             hep_exercises, referral_info, created_by)
SELECT pg_temp.seed_id('discharge', p.n), p.id, plan_id, therapist_id, clinic_id, start + 7 * p.weeks, until, 'completed',
       CASE WHEN stops THEN pg_temp.word('patient_request non_compliance', 'reason', p.n)
            WHEN all_better THEN 'goals_met' WHEN any_better THEN 'goals_partially_met' ELSE 'transferred' END,
       jsonb_build_object('measures', scores.measures),
       jsonb_build_object('measures', scores.series, 'pain_levels', coalesce(scores.series -> 'VAS', '[]')), program,
       CASE WHEN NOT stops AND NOT any_better THEN 'Sample Hospital' END, therapist_id
FROM seed_patients AS p
JOIN seed_problems AS problem ON problem.n = p.problem
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
               'name', measure_type, 'name_vi', measure_type_vi, 'baseline_score', baseline_score,
               'discharge_score', discharge_score, 'target_score', target_score,
               'improvement_percent', round(improvement * 100 / nullif(baseline_score, 0), 1),
               'mcid_met', mcid_met) ORDER BY measure_type) AS measures,
           jsonb_object_agg(measure_type, series) AS series,
           bool_and(mcid_met AND improvement > 0) AS all_better, bool_or(mcid_met AND improvement > 0) AS any_better
    FROM (
        SELECT *, CASE WHEN higher_is_better THEN 1 ELSE -1 END * (discharge_score - baseline_score) AS improvement
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
            WHERE m.patient_id = p.id AND m.measurement_date <= p.until
            GROUP BY m.measure_type, m.measure_type_vi, lib.higher_is_better
        ) AS measure
    ) AS change
) AS scores
WHERE ended;

INSERT INTO discharge_summaries (id, discharge_plan_id, patient_id, therapist_id, summary_text, summary_text_vi,
                                 diagnosis_at_discharge, diagnosis_at_discharge_vi, recommendations, recommendations_vi,
                                 goals_status, therapist_signature_at, created_by)
SELECT pg_temp.seed_id('summary', p.n), pg_temp.seed_id('discharge', p.n), p.id, p.therapist_id,
       plan.sessions_completed || ' sessions in ' || (until - start) / 7 || ' weeks for ' || lower(p.name_en),
       plan.sessions_completed || ' buổi trong ' || (until - start) / 7 || ' tuần điều trị ' || lower(p.name_vi),
       plan.diagnosis_description, p.name_vi, 'Go on with the exercises at home', 'Tiếp tục tập tại nhà',
       (SELECT jsonb_agg(jsonb_build_object(
                   'goal', goal ->> 'description', 'goal_vi', goal ->> 'description_vi',
                   'status', CASE WHEN discharge_reason = 'goals_met' THEN 'achieved'
                                  WHEN discharge_reason = 'goals_partially_met' THEN 'partially_achieved'
                                  ELSE 'not_achieved' END,
                   'notes', goal ->> 'measurable_criteria'))
        FROM jsonb_array_elements(plan.long_term_goals) AS goal),
       until + time '18:00', p.therapist_id
FROM seed_patients AS p
JOIN treatment_plans AS plan ON plan.id = p.plan_id
JOIN discharge_plans AS discharge ON discharge.id = pg_temp.seed_id('discharge', p.n)
WHERE ended;

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
