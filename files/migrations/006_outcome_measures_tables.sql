-- Migration: 006_outcome_measures_tables
-- Description: Outcome measures: reference library and scores by year
-- Depends on: 001
-- outcome_measures has one partition for each year from 2024 to 2030 and no default partition: a date outside
-- is an error. Add the partition of 2031 before that year begins.
-- Its only foreign key is library_id; the other ids are plain uuid.

CREATE TABLE outcome_measures_library (
    id                      UUID          NOT NULL DEFAULT uuid_generate_v4(),
    measure_type            VARCHAR(100)  NOT NULL,
    measure_type_vi         VARCHAR(100),
    description             TEXT,
    description_vi          TEXT,
    scale_min               DECIMAL(10,2),
    scale_max               DECIMAL(10,2),
    higher_is_better        BOOLEAN       NOT NULL DEFAULT true,
    mcid_threshold          DECIMAL(10,2),
    category                VARCHAR(100),
    applicable_body_regions TEXT[],
    is_active               BOOLEAN       NOT NULL DEFAULT true,
    created_at              TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at              TIMESTAMPTZ   NOT NULL DEFAULT now(),

    CONSTRAINT outcome_measures_library_pkey PRIMARY KEY (id),
    CONSTRAINT outcome_measures_library_measure_type_key UNIQUE (measure_type)
);

CREATE INDEX idx_outcome_library_measure_type ON outcome_measures_library (measure_type);
CREATE INDEX idx_outcome_library_category ON outcome_measures_library (category);

CREATE TRIGGER trg_outcome_measures_library_updated_at
    BEFORE UPDATE ON outcome_measures_library
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE outcome_measures_library IS
    'Reference library of outcome measures / Thư viện thang đo kết quả điều trị';
COMMENT ON COLUMN outcome_measures_library.measure_type IS 'Code of the measure, such as VAS / Mã thang đo';
COMMENT ON COLUMN outcome_measures_library.higher_is_better IS
    'Whether a rising score means improvement / Điểm cao là tốt hơn';
COMMENT ON COLUMN outcome_measures_library.mcid_threshold IS
    'Minimal clinically important difference, in points of the scale / Ngưỡng MCID';

CREATE TABLE outcome_measures (
    id                   UUID          NOT NULL DEFAULT uuid_generate_v4(),
    patient_id           UUID          NOT NULL,
    library_id           UUID,
    measure_type         VARCHAR(100)  NOT NULL,
    measure_type_vi      VARCHAR(100),
    description          TEXT,
    description_vi       TEXT,
    baseline_score       DECIMAL(10,2),
    current_score        DECIMAL(10,2),
    target_score         DECIMAL(10,2),
    measurement_date     DATE          NOT NULL,
    assessed_by          UUID,
    assessment_id        UUID,
    treatment_session_id UUID,
    mcid_threshold       DECIMAL(10,2),
    mcid_met             BOOLEAN
        GENERATED ALWAYS AS (abs(current_score - baseline_score) >= mcid_threshold) STORED,
    notes                TEXT,
    version              INTEGER       NOT NULL DEFAULT 1,
    created_at           TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at           TIMESTAMPTZ   NOT NULL DEFAULT now(),
    created_by           UUID,
    updated_by           UUID,

    CONSTRAINT outcome_measures_pkey PRIMARY KEY (id, measurement_date),
    CONSTRAINT outcome_measures_library_id_fkey
        FOREIGN KEY (library_id) REFERENCES outcome_measures_library (id)
) PARTITION BY RANGE (measurement_date);

CREATE TABLE outcome_measures_2024 PARTITION OF outcome_measures
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE outcome_measures_2025 PARTITION OF outcome_measures
    FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE outcome_measures_2026 PARTITION OF outcome_measures
    FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE outcome_measures_2027 PARTITION OF outcome_measures
    FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE TABLE outcome_measures_2028 PARTITION OF outcome_measures
    FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');
CREATE TABLE outcome_measures_2029 PARTITION OF outcome_measures
    FOR VALUES FROM ('2029-01-01') TO ('2030-01-01');
CREATE TABLE outcome_measures_2030 PARTITION OF outcome_measures
    FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');

CREATE INDEX idx_outcome_measures_patient_id ON outcome_measures (patient_id);
CREATE INDEX idx_outcome_measures_patient_type_date
    ON outcome_measures (patient_id, measure_type, measurement_date);
CREATE INDEX idx_outcome_measures_library_id ON outcome_measures (library_id);
CREATE INDEX idx_outcome_measures_measure_type ON outcome_measures (measure_type);
CREATE INDEX idx_outcome_measures_measurement_date ON outcome_measures (measurement_date);

CREATE TRIGGER trg_outcome_measures_updated_at
    BEFORE UPDATE ON outcome_measures
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE outcome_measures IS
    'Scores of patients, partitioned by year of measurement_date / Kết quả đo của bệnh nhân';
COMMENT ON COLUMN outcome_measures.measurement_date IS
    'Day of the measurement; decides the partition / Ngày đo';
COMMENT ON COLUMN outcome_measures.mcid_threshold IS
    'Threshold that applied on the day of the measurement / Ngưỡng MCID';
COMMENT ON COLUMN outcome_measures.mcid_met IS
    'Computed: score changed by the threshold or more, in either direction; null if one is missing';
COMMENT ON COLUMN outcome_measures.version IS 'Counter of edits, for optimistic locking';
COMMENT ON TABLE outcome_measures_2024 IS 'Scores measured in 2024 / Kết quả đo năm 2024';
COMMENT ON TABLE outcome_measures_2025 IS 'Scores measured in 2025 / Kết quả đo năm 2025';
COMMENT ON TABLE outcome_measures_2026 IS 'Scores measured in 2026 / Kết quả đo năm 2026';
COMMENT ON TABLE outcome_measures_2027 IS 'Scores measured in 2027 / Kết quả đo năm 2027';
COMMENT ON TABLE outcome_measures_2028 IS 'Scores measured in 2028 / Kết quả đo năm 2028';
COMMENT ON TABLE outcome_measures_2029 IS 'Scores measured in 2029 / Kết quả đo năm 2029';
COMMENT ON TABLE outcome_measures_2030 IS 'Scores measured in 2030 / Kết quả đo năm 2030';
