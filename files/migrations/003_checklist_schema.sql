-- Migration: 003_checklist_schema
-- Description: Checklist templates, checklists of a visit and their responses
-- Depends on: 002
-- Plain uuid without foreign key, as this release has no such tables: visit_checklists.assessment_id and
-- visit_checklist_responses.checklist_item_id.

CREATE TYPE body_region AS ENUM (
    'head_neck', 'cervical_spine', 'thoracic_spine', 'lumbar_spine', 'shoulder_left',
    'shoulder_right', 'elbow_left', 'elbow_right', 'wrist_hand_left', 'wrist_hand_right',
    'hip_left', 'hip_right', 'knee_left', 'knee_right', 'ankle_foot_left', 'ankle_foot_right',
    'chest', 'abdomen', 'pelvis', 'other'
);
CREATE TYPE checklist_status AS ENUM ('not_started', 'in_progress', 'completed', 'reviewed', 'locked');

COMMENT ON TYPE body_region IS 'Region of the body / Vùng cơ thể';
COMMENT ON TYPE checklist_status IS 'State of a checklist / Trạng thái bảng kiểm';

CREATE TABLE checklist_templates (
    id                   UUID         NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id            UUID,
    name                 VARCHAR(255) NOT NULL,
    name_vi              VARCHAR(255),
    description          TEXT,
    description_vi       TEXT,
    code                 VARCHAR(50),
    template_type        VARCHAR(50)  NOT NULL,
    body_region          body_region,
    applicable_diagnoses TEXT[],
    version              INTEGER      NOT NULL DEFAULT 1,
    is_current_version   BOOLEAN      NOT NULL DEFAULT true,
    previous_version_id  UUID,
    settings             JSONB        NOT NULL DEFAULT '{}',
    is_active            BOOLEAN      NOT NULL DEFAULT true,
    is_archived          BOOLEAN      NOT NULL DEFAULT false,
    created_at           TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at           TIMESTAMPTZ  NOT NULL DEFAULT now(),
    created_by           UUID,
    updated_by           UUID,

    CONSTRAINT checklist_templates_pkey PRIMARY KEY (id),
    CONSTRAINT checklist_templates_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT checklist_templates_previous_version_id_fkey
        FOREIGN KEY (previous_version_id) REFERENCES checklist_templates (id),
    CONSTRAINT checklist_templates_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT checklist_templates_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_checklist_templates_clinic_id ON checklist_templates (clinic_id);
CREATE INDEX idx_checklist_templates_code ON checklist_templates (code);
CREATE INDEX idx_checklist_templates_type ON checklist_templates (template_type);
CREATE INDEX idx_checklist_templates_body_region ON checklist_templates (body_region);
CREATE INDEX idx_checklist_templates_is_current ON checklist_templates (is_current_version);
CREATE INDEX idx_checklist_templates_is_active ON checklist_templates (is_active);

CREATE TRIGGER trg_checklist_templates_updated_at
    BEFORE UPDATE ON checklist_templates
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE checklist_templates IS 'Templates of visit checklists, versioned / Mẫu bảng kiểm';
COMMENT ON COLUMN checklist_templates.clinic_id IS 'Owner; null: template of all clinics';
COMMENT ON COLUMN checklist_templates.previous_version_id IS
    'Version that this one replaces / Phiên bản trước';

CREATE TABLE visit_checklists (
    id                     UUID             NOT NULL DEFAULT uuid_generate_v4(),
    template_id            UUID             NOT NULL,
    template_version       INTEGER          NOT NULL,
    patient_id             UUID             NOT NULL,
    treatment_session_id   UUID,
    assessment_id          UUID,
    therapist_id           UUID             NOT NULL,
    clinic_id              UUID             NOT NULL,
    status                 checklist_status NOT NULL DEFAULT 'not_started',
    progress_percentage    DECIMAL(5,2)     NOT NULL DEFAULT 0,
    started_at             TIMESTAMPTZ,
    completed_at           TIMESTAMPTZ,
    locked_at              TIMESTAMPTZ,
    locked_by              UUID,
    last_auto_save_at      TIMESTAMPTZ,
    auto_save_data         JSONB            NOT NULL DEFAULT '{}',
    generated_note         TEXT,
    generated_note_vi      TEXT,
    note_generation_status VARCHAR(50),
    reviewed_by            UUID,
    reviewed_at            TIMESTAMPTZ,
    review_notes           TEXT,
    created_at             TIMESTAMPTZ      NOT NULL DEFAULT now(),
    updated_at             TIMESTAMPTZ      NOT NULL DEFAULT now(),
    created_by             UUID,
    updated_by             UUID,

    CONSTRAINT visit_checklists_pkey PRIMARY KEY (id),
    CONSTRAINT visit_checklists_template_id_fkey
        FOREIGN KEY (template_id) REFERENCES checklist_templates (id),
    CONSTRAINT visit_checklists_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT visit_checklists_treatment_session_id_fkey
        FOREIGN KEY (treatment_session_id) REFERENCES treatment_sessions (id),
    CONSTRAINT visit_checklists_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT visit_checklists_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT visit_checklists_locked_by_fkey
        FOREIGN KEY (locked_by) REFERENCES users (id),
    CONSTRAINT visit_checklists_reviewed_by_fkey
        FOREIGN KEY (reviewed_by) REFERENCES users (id),
    CONSTRAINT visit_checklists_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT visit_checklists_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_visit_checklists_template_id ON visit_checklists (template_id);
CREATE INDEX idx_visit_checklists_patient_id ON visit_checklists (patient_id);
CREATE INDEX idx_visit_checklists_session_id ON visit_checklists (treatment_session_id);
CREATE INDEX idx_visit_checklists_therapist_id ON visit_checklists (therapist_id);
CREATE INDEX idx_visit_checklists_clinic_id ON visit_checklists (clinic_id);
CREATE INDEX idx_visit_checklists_status ON visit_checklists (status);
CREATE INDEX idx_visit_checklists_created_at ON visit_checklists (created_at);

CREATE TRIGGER trg_visit_checklists_updated_at
    BEFORE UPDATE ON visit_checklists
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE visit_checklists IS 'Checklists filled in at a visit / Bảng kiểm của lần khám';
COMMENT ON COLUMN visit_checklists.template_version IS
    'Version of the template when the checklist was started';
COMMENT ON COLUMN visit_checklists.assessment_id IS 'Assessment of the visit; no foreign key';
COMMENT ON COLUMN visit_checklists.progress_percentage IS
    'Share of the required items answered, percent / Tiến độ';
COMMENT ON COLUMN visit_checklists.locked_at IS 'From here on the checklist is read-only / Thời điểm khóa';

CREATE TABLE visit_checklist_responses (
    id                 UUID        NOT NULL DEFAULT uuid_generate_v4(),
    visit_checklist_id UUID        NOT NULL,
    checklist_item_id  UUID        NOT NULL,
    response_value     JSONB       NOT NULL,
    is_skipped         BOOLEAN     NOT NULL DEFAULT false,
    skip_reason        TEXT,
    triggered_alerts   JSONB       NOT NULL DEFAULT '[]',
    response_history   JSONB       NOT NULL DEFAULT '[]',
    created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by         UUID,
    updated_by         UUID,

    CONSTRAINT visit_checklist_responses_pkey PRIMARY KEY (id),
    CONSTRAINT uq_visit_response_item UNIQUE (visit_checklist_id, checklist_item_id),
    CONSTRAINT visit_checklist_responses_visit_checklist_id_fkey
        FOREIGN KEY (visit_checklist_id) REFERENCES visit_checklists (id) ON DELETE CASCADE,
    CONSTRAINT visit_checklist_responses_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT visit_checklist_responses_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_visit_responses_checklist_id ON visit_checklist_responses (visit_checklist_id);
CREATE INDEX idx_visit_responses_item_id ON visit_checklist_responses (checklist_item_id);
CREATE INDEX idx_visit_responses_value ON visit_checklist_responses USING gin (response_value);

CREATE TRIGGER trg_visit_checklist_responses_updated_at
    BEFORE UPDATE ON visit_checklist_responses
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE visit_checklist_responses IS
    'Responses to the items of a visit checklist / Câu trả lời trong bảng kiểm';
COMMENT ON COLUMN visit_checklist_responses.checklist_item_id IS 'Item of the template; no foreign key';
COMMENT ON COLUMN visit_checklist_responses.response_history IS 'Array of earlier values / Lịch sử thay đổi';
