-- Migration: 002_clinical_schema
-- Description: Treatment plans and treatment sessions
-- Depends on: 001
-- Plain uuid without foreign key: treatment_plans.assessment_id and primary_diagnosis_id (no such tables in
-- this release) and treatment_sessions.appointment_id (appointments comes in 004).

CREATE TYPE treatment_plan_status AS ENUM ('draft', 'active', 'on_hold', 'completed', 'discontinued');
CREATE TYPE session_status AS ENUM (
    'scheduled', 'checked_in', 'in_progress', 'completed', 'cancelled', 'no_show'
);

COMMENT ON TYPE treatment_plan_status IS 'State of a treatment plan / Trạng thái kế hoạch điều trị';
COMMENT ON TYPE session_status IS 'State of a treatment session / Trạng thái buổi điều trị';

CREATE TABLE treatment_plans (
    id                             UUID                  NOT NULL DEFAULT uuid_generate_v4(),
    patient_id                     UUID                  NOT NULL,
    assessment_id                  UUID,
    therapist_id                   UUID                  NOT NULL,
    clinic_id                      UUID                  NOT NULL,
    plan_name                      VARCHAR(255),
    status                         treatment_plan_status NOT NULL DEFAULT 'draft',
    start_date                     DATE                  NOT NULL,
    end_date                       DATE,
    primary_diagnosis_id           UUID,
    diagnosis_description          TEXT,
    diagnosis_description_vi       TEXT,
    short_term_goals               JSONB                 NOT NULL DEFAULT '[]',
    long_term_goals                JSONB                 NOT NULL DEFAULT '[]',
    interventions                  JSONB                 NOT NULL DEFAULT '[]',
    frequency_per_week             INTEGER               NOT NULL DEFAULT 2,
    session_duration_minutes       INTEGER               NOT NULL DEFAULT 60,
    total_sessions_planned         INTEGER,
    sessions_completed             INTEGER               NOT NULL DEFAULT 0,
    precautions                    TEXT[],
    contraindications              TEXT[],
    patient_education              JSONB                 NOT NULL DEFAULT '[]',
    home_exercise_program          JSONB                 NOT NULL DEFAULT '[]',
    progress_notes                 TEXT,
    progress_notes_vi              TEXT,
    insurance_authorization_number VARCHAR(100),
    authorized_sessions            INTEGER,
    authorization_valid_until      DATE,
    therapist_signature_at         TIMESTAMPTZ,
    patient_consent_at             TIMESTAMPTZ,
    created_at                     TIMESTAMPTZ           NOT NULL DEFAULT now(),
    updated_at                     TIMESTAMPTZ           NOT NULL DEFAULT now(),
    created_by                     UUID,
    updated_by                     UUID,

    CONSTRAINT treatment_plans_pkey PRIMARY KEY (id),
    CONSTRAINT treatment_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT treatment_plans_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT treatment_plans_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT treatment_plans_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT treatment_plans_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_treatment_plans_patient_id ON treatment_plans (patient_id);
CREATE INDEX idx_treatment_plans_assessment_id ON treatment_plans (assessment_id);
CREATE INDEX idx_treatment_plans_therapist_id ON treatment_plans (therapist_id);
CREATE INDEX idx_treatment_plans_clinic_id ON treatment_plans (clinic_id);
CREATE INDEX idx_treatment_plans_status ON treatment_plans (status);
CREATE INDEX idx_treatment_plans_dates ON treatment_plans (start_date, end_date);
CREATE INDEX idx_treatment_plans_interventions ON treatment_plans USING gin (interventions);

CREATE TRIGGER trg_treatment_plans_updated_at
    BEFORE UPDATE ON treatment_plans
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE treatment_plans IS 'Treatment plans with goals and interventions / Kế hoạch điều trị';
COMMENT ON COLUMN treatment_plans.assessment_id IS 'Assessment behind the plan; no foreign key';
COMMENT ON COLUMN treatment_plans.primary_diagnosis_id IS 'Diagnosis treated; no foreign key';
COMMENT ON COLUMN treatment_plans.short_term_goals IS 'Array of goals / Mục tiêu ngắn hạn';
COMMENT ON COLUMN treatment_plans.long_term_goals IS 'Array of goals / Mục tiêu dài hạn';
COMMENT ON COLUMN treatment_plans.home_exercise_program IS
    'Array of home exercises / Chương trình tập tại nhà';
COMMENT ON COLUMN treatment_plans.authorized_sessions IS
    'Sessions that the insurer has approved / Số buổi được duyệt';

CREATE TABLE treatment_sessions (
    id                      UUID           NOT NULL DEFAULT uuid_generate_v4(),
    patient_id              UUID           NOT NULL,
    treatment_plan_id       UUID,
    therapist_id            UUID           NOT NULL,
    clinic_id               UUID           NOT NULL,
    appointment_id          UUID,
    session_date            DATE           NOT NULL,
    scheduled_start_time    TIME,
    actual_start_time       TIMESTAMPTZ,
    actual_end_time         TIMESTAMPTZ,
    duration_minutes        INTEGER,
    status                  session_status NOT NULL DEFAULT 'scheduled',
    timer_data              JSONB          NOT NULL DEFAULT '{}',
    patient_report          TEXT,
    patient_report_vi       TEXT,
    pain_level_pre          INTEGER,
    pain_level_post         INTEGER,
    objective_findings      JSONB          NOT NULL DEFAULT '{}',
    vitals                  JSONB          NOT NULL DEFAULT '{}',
    interventions_performed JSONB          NOT NULL DEFAULT '[]',
    patient_response        TEXT,
    patient_response_vi     TEXT,
    tolerance               VARCHAR(50),
    plan_for_next           TEXT,
    plan_for_next_vi        TEXT,
    auto_generated_notes    JSONB          NOT NULL DEFAULT '{}',
    final_notes             TEXT,
    final_notes_vi          TEXT,
    billing_codes           TEXT[],
    units_billed            JSONB          NOT NULL DEFAULT '{}',
    therapist_signature_at  TIMESTAMPTZ,
    patient_signature_at    TIMESTAMPTZ,
    cosigner_id             UUID,
    cosigner_signature_at   TIMESTAMPTZ,
    created_at              TIMESTAMPTZ    NOT NULL DEFAULT now(),
    updated_at              TIMESTAMPTZ    NOT NULL DEFAULT now(),
    created_by              UUID,
    updated_by              UUID,

    CONSTRAINT treatment_sessions_pkey PRIMARY KEY (id),
    CONSTRAINT treatment_sessions_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT treatment_sessions_treatment_plan_id_fkey
        FOREIGN KEY (treatment_plan_id) REFERENCES treatment_plans (id),
    CONSTRAINT treatment_sessions_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT treatment_sessions_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT treatment_sessions_cosigner_id_fkey
        FOREIGN KEY (cosigner_id) REFERENCES users (id),
    CONSTRAINT treatment_sessions_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT treatment_sessions_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id),
    CONSTRAINT treatment_sessions_pain_level_pre_check CHECK (pain_level_pre BETWEEN 0 AND 10),
    CONSTRAINT treatment_sessions_pain_level_post_check CHECK (pain_level_post BETWEEN 0 AND 10)
);

CREATE INDEX idx_sessions_patient_id ON treatment_sessions (patient_id);
CREATE INDEX idx_sessions_treatment_plan_id ON treatment_sessions (treatment_plan_id);
CREATE INDEX idx_sessions_therapist_id ON treatment_sessions (therapist_id);
CREATE INDEX idx_sessions_clinic_id ON treatment_sessions (clinic_id);
CREATE INDEX idx_sessions_appointment_id ON treatment_sessions (appointment_id);
CREATE INDEX idx_sessions_date ON treatment_sessions (session_date);
CREATE INDEX idx_sessions_status ON treatment_sessions (status);
CREATE INDEX idx_sessions_interventions ON treatment_sessions USING gin (interventions_performed);

CREATE TRIGGER trg_treatment_sessions_updated_at
    BEFORE UPDATE ON treatment_sessions
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE treatment_sessions IS 'Treatment sessions: findings, interventions, billing / Buổi điều trị';
COMMENT ON COLUMN treatment_sessions.appointment_id IS 'Appointment of the session; no foreign key';
COMMENT ON COLUMN treatment_sessions.pain_level_pre IS
    'Pain before the session, 0 (none) to 10 / Mức đau trước buổi điều trị';
COMMENT ON COLUMN treatment_sessions.pain_level_post IS
    'Pain after the session, 0 (none) to 10 / Mức đau sau buổi điều trị';
COMMENT ON COLUMN treatment_sessions.units_billed IS 'Object: units by billing code';
COMMENT ON COLUMN treatment_sessions.cosigner_id IS 'User who countersigns / Người ký xác nhận';
