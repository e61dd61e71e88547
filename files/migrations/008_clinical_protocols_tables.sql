-- Migration: 008_clinical_protocols_tables
-- Description: Treatment protocol templates and the protocols of patients
-- Depends on: 001, 002
-- Lists of values are checks, not enum types: dropping the tables leaves nothing behind. Each casts its column
-- to text: then PostgreSQL stores the check in words that a dump and a restore do not change.
-- Phases are initial, intermediate and advanced; patient_protocols.current_phase does not enforce them.

CREATE TABLE clinical_protocols (
    id                       UUID         NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id                UUID,
    protocol_name            VARCHAR(255) NOT NULL,
    protocol_name_vi         VARCHAR(255),
    description              TEXT,
    description_vi           TEXT,
    goals                    JSONB        NOT NULL DEFAULT '[]',
    exercises                JSONB        NOT NULL DEFAULT '[]',
    frequency_per_week       INTEGER      NOT NULL DEFAULT 2,
    duration_weeks           INTEGER      NOT NULL DEFAULT 8,
    session_duration_minutes INTEGER      NOT NULL DEFAULT 60,
    progression_criteria     JSONB        NOT NULL DEFAULT '{}',
    category                 VARCHAR(100),
    applicable_diagnoses     TEXT[],
    body_regions             TEXT[],
    is_active                BOOLEAN      NOT NULL DEFAULT true,
    version                  INTEGER      NOT NULL DEFAULT 1,
    created_at               TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at               TIMESTAMPTZ  NOT NULL DEFAULT now(),
    created_by               UUID,
    updated_by               UUID,

    CONSTRAINT clinical_protocols_pkey PRIMARY KEY (id),
    CONSTRAINT uq_protocol_name_per_clinic UNIQUE NULLS NOT DISTINCT (clinic_id, protocol_name),
    CONSTRAINT clinical_protocols_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT clinical_protocols_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT clinical_protocols_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_protocols_clinic_id ON clinical_protocols (clinic_id);
CREATE INDEX idx_protocols_category ON clinical_protocols (category);
CREATE INDEX idx_protocols_diagnoses ON clinical_protocols USING gin (applicable_diagnoses);
CREATE INDEX idx_protocols_body_regions ON clinical_protocols USING gin (body_regions);
CREATE INDEX idx_protocols_is_active ON clinical_protocols (is_active);

CREATE TRIGGER trg_clinical_protocols_updated_at
    BEFORE UPDATE ON clinical_protocols
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE clinical_protocols IS 'Evidence-based treatment protocol templates / Phác đồ điều trị mẫu';
COMMENT ON COLUMN clinical_protocols.clinic_id IS 'Owner; null: protocol of all clinics';
COMMENT ON COLUMN clinical_protocols.goals IS
    'Array of: type (short_term, long_term), description, measurable_criteria, target_timeframe_weeks';
COMMENT ON COLUMN clinical_protocols.exercises IS
    'Array of: name, description, sets, reps, duration_seconds, frequency_per_day, phase, precautions';
COMMENT ON COLUMN clinical_protocols.progression_criteria IS
    'Object: phase_transitions (array), discharge_criteria; texts also with suffix _vi';
COMMENT ON COLUMN clinical_protocols.applicable_diagnoses IS 'ICD-10 codes / Mã ICD-10';
COMMENT ON COLUMN clinical_protocols.version IS 'Counter of edits, for optimistic locking';
COMMENT ON CONSTRAINT uq_protocol_name_per_clinic ON clinical_protocols IS
    'Once for each clinic, and once for the protocols of all clinics';

CREATE TABLE patient_protocols (
    id                        UUID        NOT NULL DEFAULT uuid_generate_v4(),
    patient_id                UUID        NOT NULL,
    protocol_id               UUID        NOT NULL,
    therapist_id              UUID        NOT NULL,
    clinic_id                 UUID        NOT NULL,
    treatment_plan_id         UUID,
    assigned_date             DATE        NOT NULL DEFAULT CURRENT_DATE,
    start_date                DATE,
    target_end_date           DATE,
    actual_end_date           DATE,
    progress_status           VARCHAR(50) NOT NULL DEFAULT 'active',
    current_phase             VARCHAR(50)          DEFAULT 'initial',
    sessions_completed        INTEGER     NOT NULL DEFAULT 0,
    custom_goals              JSONB,
    custom_exercises          JSONB,
    custom_frequency_per_week INTEGER,
    custom_duration_weeks     INTEGER,
    progress_notes            JSONB       NOT NULL DEFAULT '[]',
    version                   INTEGER     NOT NULL DEFAULT 1,
    created_at                TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at                TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by                UUID,
    updated_by                UUID,

    CONSTRAINT patient_protocols_pkey PRIMARY KEY (id),
    CONSTRAINT patient_protocols_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT patient_protocols_protocol_id_fkey
        FOREIGN KEY (protocol_id) REFERENCES clinical_protocols (id),
    CONSTRAINT patient_protocols_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT patient_protocols_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT patient_protocols_treatment_plan_id_fkey
        FOREIGN KEY (treatment_plan_id) REFERENCES treatment_plans (id),
    CONSTRAINT patient_protocols_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT patient_protocols_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id),
    CONSTRAINT chk_patient_protocols_progress_status
        CHECK (progress_status::text IN ('draft', 'active', 'completed', 'on_hold', 'discontinued'))
);

CREATE INDEX idx_patient_protocols_patient_id ON patient_protocols (patient_id);
CREATE INDEX idx_patient_protocols_protocol_id ON patient_protocols (protocol_id);
CREATE INDEX idx_patient_protocols_therapist_id ON patient_protocols (therapist_id);
CREATE INDEX idx_patient_protocols_clinic_id ON patient_protocols (clinic_id);
CREATE INDEX idx_patient_protocols_treatment_plan ON patient_protocols (treatment_plan_id);
CREATE INDEX idx_patient_protocols_assigned_date ON patient_protocols (assigned_date);
CREATE INDEX idx_patient_protocols_progress_status ON patient_protocols (progress_status);

CREATE TRIGGER trg_patient_protocols_updated_at
    BEFORE UPDATE ON patient_protocols
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE patient_protocols IS
    'Protocols assigned to patients, with their progress / Phác đồ của bệnh nhân';
COMMENT ON COLUMN patient_protocols.current_phase IS
    'initial, intermediate or advanced; not enforced / Giai đoạn';
COMMENT ON COLUMN patient_protocols.custom_goals IS
    'Replaces the goals of the protocol, same shape; null: unchanged';
COMMENT ON COLUMN patient_protocols.custom_exercises IS
    'Replaces the exercises of the protocol, same shape; null: unchanged';
COMMENT ON COLUMN patient_protocols.progress_notes IS 'Array of: date, note, note_vi, phase, therapist_id';
COMMENT ON COLUMN patient_protocols.version IS 'Counter of edits, for optimistic locking';
