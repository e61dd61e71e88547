-- Migration: 009_discharge_planning_tables
-- Description: Discharge plans and discharge summaries
-- Depends on: 001, 002
-- Lists of values are checks, not enum types: dropping the tables leaves nothing behind. Each casts its column
-- to text: then PostgreSQL stores the check in words that a dump and a restore do not change.

CREATE TABLE discharge_plans (
    id                        UUID        NOT NULL DEFAULT uuid_generate_v4(),
    patient_id                UUID        NOT NULL,
    treatment_plan_id         UUID,
    therapist_id              UUID        NOT NULL,
    clinic_id                 UUID        NOT NULL,
    planned_discharge_date    DATE,
    actual_discharge_date     DATE,
    status                    VARCHAR(50) NOT NULL DEFAULT 'planned',
    discharge_reason          VARCHAR(50),
    baseline_comparison       JSONB       NOT NULL DEFAULT '{}',
    outcome_trending          JSONB       NOT NULL DEFAULT '{}',
    hep_exercises             JSONB       NOT NULL DEFAULT '[]',
    follow_up_date            DATE,
    follow_up_instructions    TEXT,
    follow_up_instructions_vi TEXT,
    referral_info             TEXT,
    version                   INTEGER     NOT NULL DEFAULT 1,
    created_at                TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at                TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by                UUID,
    updated_by                UUID,

    CONSTRAINT discharge_plans_pkey PRIMARY KEY (id),
    CONSTRAINT discharge_plans_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT discharge_plans_treatment_plan_id_fkey
        FOREIGN KEY (treatment_plan_id) REFERENCES treatment_plans (id),
    CONSTRAINT discharge_plans_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT discharge_plans_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT discharge_plans_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT discharge_plans_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id),
    CONSTRAINT chk_discharge_plans_status
        CHECK (status::text IN ('planned', 'in_progress', 'pending_review', 'completed', 'cancelled')),
    CONSTRAINT chk_discharge_plans_discharge_reason CHECK (discharge_reason::text IN (
        'goals_met', 'goals_partially_met', 'patient_request', 'non_compliance',
        'insurance_exhausted', 'transferred', 'medical_change', 'other'
    ))
);

CREATE INDEX idx_discharge_plans_patient_id ON discharge_plans (patient_id);
CREATE INDEX idx_discharge_plans_treatment_plan ON discharge_plans (treatment_plan_id);
CREATE INDEX idx_discharge_plans_therapist_id ON discharge_plans (therapist_id);
CREATE INDEX idx_discharge_plans_clinic_id ON discharge_plans (clinic_id);
CREATE INDEX idx_discharge_plans_discharge_date ON discharge_plans (actual_discharge_date);
CREATE INDEX idx_discharge_plans_status ON discharge_plans (status);

CREATE TRIGGER trg_discharge_plans_updated_at
    BEFORE UPDATE ON discharge_plans
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE discharge_plans IS 'Discharge plans with outcomes and home exercises / Kế hoạch xuất viện';
COMMENT ON COLUMN discharge_plans.baseline_comparison IS
    'Object: measures (array of baseline and discharge scores), functional_gains';
COMMENT ON COLUMN discharge_plans.outcome_trending IS
    'Object: measures (by name, array of date and score), pain_levels (array of date and score)';
COMMENT ON COLUMN discharge_plans.hep_exercises IS
    'Home exercise program, array of: name, instructions, sets, reps, frequency, image_url, video_url';
COMMENT ON COLUMN discharge_plans.version IS 'Counter of edits, for optimistic locking';

CREATE TABLE discharge_summaries (
    id                        UUID        NOT NULL DEFAULT uuid_generate_v4(),
    discharge_plan_id         UUID        NOT NULL,
    patient_id                UUID        NOT NULL,
    therapist_id              UUID        NOT NULL,
    summary_text              TEXT,
    summary_text_vi           TEXT,
    recommendations           TEXT,
    recommendations_vi        TEXT,
    diagnosis_at_discharge    TEXT,
    diagnosis_at_discharge_vi TEXT,
    treatment_provided        TEXT,
    treatment_provided_vi     TEXT,
    patient_response          TEXT,
    patient_response_vi       TEXT,
    goals_status              JSONB       NOT NULL DEFAULT '[]',
    therapist_signature_at    TIMESTAMPTZ,
    supervisor_id             UUID,
    supervisor_signature_at   TIMESTAMPTZ,
    patient_acknowledged_at   TIMESTAMPTZ,
    version                   INTEGER     NOT NULL DEFAULT 1,
    created_at                TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at                TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by                UUID,
    updated_by                UUID,

    CONSTRAINT discharge_summaries_pkey PRIMARY KEY (id),
    CONSTRAINT discharge_summaries_discharge_plan_id_fkey
        FOREIGN KEY (discharge_plan_id) REFERENCES discharge_plans (id) ON DELETE CASCADE,
    CONSTRAINT discharge_summaries_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT discharge_summaries_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT discharge_summaries_supervisor_id_fkey
        FOREIGN KEY (supervisor_id) REFERENCES users (id),
    CONSTRAINT discharge_summaries_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT discharge_summaries_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_discharge_summaries_plan_id ON discharge_summaries (discharge_plan_id);
CREATE INDEX idx_discharge_summaries_patient_id ON discharge_summaries (patient_id);
CREATE INDEX idx_discharge_summaries_therapist_id ON discharge_summaries (therapist_id);

CREATE TRIGGER trg_discharge_summaries_updated_at
    BEFORE UPDATE ON discharge_summaries
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE discharge_summaries IS 'Discharge summaries in both languages / Tóm tắt xuất viện';
COMMENT ON COLUMN discharge_summaries.goals_status IS
    'Array of: goal, goal_vi, status (achieved, partially_achieved, not_achieved), notes';
COMMENT ON COLUMN discharge_summaries.version IS 'Counter of edits, for optimistic locking';
