-- Migration: 001_initial_schema
-- Description: Organizations, clinics, users, patients and their insurance
-- Depends on: none
-- Needs the extensions "uuid-ossp" (default of every id) and pg_trgm (patient search) in schema public.
-- A superuser creates them before this file runs.
-- created_by and updated_by of organizations, clinics and users are plain: the first rows have no author.

CREATE TYPE gender_type AS ENUM ('male', 'female', 'other', 'prefer_not_to_say');
CREATE TYPE language_preference AS ENUM ('vi', 'en');
CREATE TYPE user_role AS ENUM ('super_admin', 'clinic_admin', 'therapist', 'assistant', 'front_desk');

COMMENT ON TYPE gender_type IS 'Gender of a patient / Giới tính';
COMMENT ON TYPE language_preference IS 'Language of a patient / Ngôn ngữ';
COMMENT ON TYPE user_role IS 'Role of a user in a clinic / Vai trò';

CREATE FUNCTION update_updated_at_column()
RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION update_updated_at_column() IS
    'Trigger: sets updated_at to the time of the transaction / Cập nhật thời điểm sửa đổi';

CREATE TABLE organizations (
    id         UUID         NOT NULL DEFAULT uuid_generate_v4(),
    name       VARCHAR(255) NOT NULL,
    name_vi    VARCHAR(255),
    settings   JSONB        NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ  NOT NULL DEFAULT now(),
    created_by UUID,
    updated_by UUID,

    CONSTRAINT organizations_pkey PRIMARY KEY (id)
);

CREATE INDEX idx_organizations_name ON organizations (name);
CREATE INDEX idx_organizations_name_vi ON organizations (name_vi);
CREATE INDEX idx_organizations_settings ON organizations USING gin (settings);

CREATE TRIGGER trg_organizations_updated_at
    BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE organizations IS 'Organizations that run clinics / Tổ chức sở hữu phòng khám';
COMMENT ON COLUMN organizations.settings IS 'Settings of the organization, application defined';

CREATE TABLE clinics (
    id              UUID         NOT NULL DEFAULT uuid_generate_v4(),
    organization_id UUID         NOT NULL,
    name            VARCHAR(255) NOT NULL,
    name_vi         VARCHAR(255),
    address         TEXT,
    address_vi      TEXT,
    phone           VARCHAR(50),
    email           VARCHAR(255),
    timezone        VARCHAR(100) NOT NULL DEFAULT 'Asia/Ho_Chi_Minh',
    settings        JSONB        NOT NULL DEFAULT '{}',
    is_active       BOOLEAN      NOT NULL DEFAULT true,
    created_at      TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at      TIMESTAMPTZ  NOT NULL DEFAULT now(),
    created_by      UUID,
    updated_by      UUID,

    CONSTRAINT clinics_pkey PRIMARY KEY (id),
    CONSTRAINT clinics_organization_id_fkey
        FOREIGN KEY (organization_id) REFERENCES organizations (id) ON DELETE CASCADE
);

CREATE INDEX idx_clinics_organization_id ON clinics (organization_id);
CREATE INDEX idx_clinics_name ON clinics (name);
CREATE INDEX idx_clinics_settings ON clinics USING gin (settings);
CREATE INDEX idx_clinics_is_active ON clinics (is_active);

CREATE TRIGGER trg_clinics_updated_at
    BEFORE UPDATE ON clinics
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE clinics IS 'Physiotherapy clinics / Phòng khám vật lý trị liệu';
COMMENT ON COLUMN clinics.timezone IS 'IANA time zone name / Múi giờ';
COMMENT ON COLUMN clinics.settings IS 'Settings of the clinic, application defined';

CREATE TABLE users (
    id              UUID         NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id       UUID         NOT NULL,
    keycloak_id     UUID,
    email           VARCHAR(255) NOT NULL,
    phone           VARCHAR(50),
    first_name      VARCHAR(100) NOT NULL,
    last_name       VARCHAR(100) NOT NULL,
    first_name_vi   VARCHAR(100),
    last_name_vi    VARCHAR(100),
    role            user_role    NOT NULL,
    license_number  VARCHAR(100),
    specializations TEXT[],
    is_active       BOOLEAN      NOT NULL DEFAULT true,
    last_login_at   TIMESTAMPTZ,
    created_at      TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at      TIMESTAMPTZ  NOT NULL DEFAULT now(),
    created_by      UUID,
    updated_by      UUID,

    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_keycloak_id_key UNIQUE (keycloak_id),
    CONSTRAINT uq_users_clinic_email UNIQUE (clinic_id, email),
    CONSTRAINT users_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id) ON DELETE CASCADE
);

CREATE INDEX idx_users_clinic_id ON users (clinic_id);
CREATE INDEX idx_users_keycloak_id ON users (keycloak_id);
CREATE INDEX idx_users_email ON users (email);
CREATE INDEX idx_users_name ON users (last_name, first_name);
CREATE INDEX idx_users_name_vi ON users (last_name_vi, first_name_vi);
CREATE INDEX idx_users_role ON users (role);
CREATE INDEX idx_users_is_active ON users (is_active);

CREATE TRIGGER trg_users_updated_at
    BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE users IS 'Staff of a clinic; they sign in through Keycloak / Nhân viên phòng khám';
COMMENT ON COLUMN users.keycloak_id IS 'Subject of the Keycloak account; null until the first sign-in';
COMMENT ON COLUMN users.license_number IS 'Number of the professional licence / Số chứng chỉ hành nghề';

CREATE TABLE patients (
    id                  UUID                NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id           UUID                NOT NULL,
    mrn                 VARCHAR(50)         NOT NULL,
    first_name          VARCHAR(100)        NOT NULL,
    last_name           VARCHAR(100)        NOT NULL,
    first_name_vi       VARCHAR(100),
    last_name_vi        VARCHAR(100),
    date_of_birth       DATE                NOT NULL,
    gender              gender_type         NOT NULL,
    phone               VARCHAR(50),
    email               VARCHAR(255),
    address             TEXT,
    address_vi          TEXT,
    language_preference language_preference NOT NULL DEFAULT 'vi',
    emergency_contact   JSONB               NOT NULL DEFAULT '{}',
    medical_alerts      TEXT[],
    notes               TEXT,
    is_active           BOOLEAN             NOT NULL DEFAULT true,
    created_at          TIMESTAMPTZ         NOT NULL DEFAULT now(),
    updated_at          TIMESTAMPTZ         NOT NULL DEFAULT now(),
    created_by          UUID,
    updated_by          UUID,

    CONSTRAINT patients_pkey PRIMARY KEY (id),
    CONSTRAINT uq_patients_clinic_mrn UNIQUE (clinic_id, mrn),
    CONSTRAINT patients_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id) ON DELETE CASCADE,
    CONSTRAINT patients_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT patients_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_patients_clinic_id ON patients (clinic_id);
CREATE INDEX idx_patients_mrn ON patients (mrn);
CREATE INDEX idx_patients_name_trgm ON patients USING gin ((first_name || ' ' || last_name) gin_trgm_ops);
CREATE INDEX idx_patients_name ON patients (last_name, first_name);
CREATE INDEX idx_patients_name_vi ON patients (last_name_vi, first_name_vi);
CREATE INDEX idx_patients_dob ON patients (date_of_birth);
CREATE INDEX idx_patients_phone ON patients (phone);
CREATE INDEX idx_patients_email ON patients (email);
CREATE INDEX idx_patients_emergency_contact ON patients USING gin (emergency_contact);
CREATE INDEX idx_patients_is_active ON patients (is_active);

CREATE TRIGGER trg_patients_updated_at
    BEFORE UPDATE ON patients
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE patients IS 'Patients of a clinic / Bệnh nhân';
COMMENT ON COLUMN patients.mrn IS 'Medical record number, unique in the clinic / Mã hồ sơ bệnh án';
COMMENT ON COLUMN patients.emergency_contact IS
    'Emergency contact: name, relation, phone / Người liên hệ khẩn cấp';
COMMENT ON COLUMN patients.medical_alerts IS 'Allergies, implants and other warnings / Cảnh báo y tế';

CREATE TABLE insurance_info (
    id                  UUID          NOT NULL DEFAULT uuid_generate_v4(),
    patient_id          UUID          NOT NULL,
    provider            VARCHAR(255)  NOT NULL,
    provider_type       VARCHAR(50)   NOT NULL DEFAULT 'private',
    policy_number       VARCHAR(100)  NOT NULL,
    group_number        VARCHAR(100),
    coverage_percentage DECIMAL(5,2)  NOT NULL DEFAULT 0,
    copay_amount        DECIMAL(12,2),
    valid_from          DATE          NOT NULL,
    valid_to            DATE,
    is_primary          BOOLEAN       NOT NULL DEFAULT false,
    is_active           BOOLEAN       NOT NULL DEFAULT true,
    verification_status VARCHAR(50)            DEFAULT 'pending',
    verification_date   TIMESTAMPTZ,
    notes               TEXT,
    created_at          TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at          TIMESTAMPTZ   NOT NULL DEFAULT now(),
    created_by          UUID,
    updated_by          UUID,

    CONSTRAINT insurance_info_pkey PRIMARY KEY (id),
    CONSTRAINT insurance_info_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT insurance_info_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT insurance_info_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_insurance_patient_id ON insurance_info (patient_id);
CREATE INDEX idx_insurance_is_primary ON insurance_info (patient_id, is_primary) WHERE is_primary;
CREATE INDEX idx_insurance_provider ON insurance_info (provider);
CREATE INDEX idx_insurance_policy_number ON insurance_info (policy_number);
CREATE INDEX idx_insurance_valid_dates ON insurance_info (valid_from, valid_to);
CREATE INDEX idx_insurance_is_active ON insurance_info (is_active);

CREATE TRIGGER trg_insurance_info_updated_at
    BEFORE UPDATE ON insurance_info
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE insurance_info IS 'Insurance policies of patients / Thông tin bảo hiểm của bệnh nhân';
COMMENT ON COLUMN insurance_info.provider_type IS 'Kind of insurer: private, bhyt, ... / Loại bảo hiểm';
COMMENT ON COLUMN insurance_info.coverage_percentage IS
    'Share that the insurer pays, percent / Tỷ lệ chi trả';
COMMENT ON COLUMN insurance_info.copay_amount IS
    'Fixed amount that the patient pays, VND / Số tiền đồng chi trả';
COMMENT ON COLUMN insurance_info.valid_to IS 'Last valid day; null: no end / Ngày hết hạn';
