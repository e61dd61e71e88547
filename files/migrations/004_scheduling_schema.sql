-- Migration: 004_scheduling_schema
-- Description: Appointments and the search for conflicts between them
-- Depends on: 001
-- Plain uuid without foreign key: appointments.appointment_type_id (no such table in this release) and
-- appointments.treatment_plan_id (this file depends on 001 alone, so that 002 can be rolled back without it).

CREATE TYPE appointment_type AS ENUM (
    'initial_evaluation', 'follow_up', 'discharge', 're_evaluation', 'consultation',
    'group_session'
);
CREATE TYPE appointment_status AS ENUM (
    'scheduled', 'confirmed', 'checked_in', 'in_progress', 'completed', 'cancelled', 'no_show',
    'rescheduled'
);
CREATE TYPE recurrence_pattern AS ENUM ('daily', 'weekly', 'biweekly', 'monthly', 'custom');

COMMENT ON TYPE appointment_type IS 'Kind of appointment / Loại lịch hẹn';
COMMENT ON TYPE appointment_status IS 'State of an appointment / Trạng thái lịch hẹn';
COMMENT ON TYPE recurrence_pattern IS 'How an appointment recurs / Kiểu lặp lại';

CREATE TABLE appointments (
    id                      UUID               NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id               UUID               NOT NULL,
    patient_id              UUID               NOT NULL,
    therapist_id            UUID               NOT NULL,
    appointment_type_id     UUID,
    treatment_plan_id       UUID,
    appointment_date        DATE               NOT NULL,
    start_time              TIME               NOT NULL,
    end_time                TIME               NOT NULL,
    duration_minutes        INTEGER            NOT NULL,
    appointment_type        appointment_type   NOT NULL DEFAULT 'follow_up',
    status                  appointment_status NOT NULL DEFAULT 'scheduled',
    recurrence_id           UUID,
    recurrence_pattern      recurrence_pattern,
    recurrence_config       JSONB,
    is_recurring            BOOLEAN            NOT NULL DEFAULT false,
    recurrence_index        INTEGER,
    room                    VARCHAR(100),
    equipment_needed        TEXT[],
    notes                   TEXT,
    notes_vi                TEXT,
    patient_instructions    TEXT,
    patient_instructions_vi TEXT,
    reminder_sent           BOOLEAN            NOT NULL DEFAULT false,
    reminder_sent_at        TIMESTAMPTZ,
    confirmation_status     VARCHAR(50),
    confirmed_at            TIMESTAMPTZ,
    checked_in_at           TIMESTAMPTZ,
    checked_in_by           UUID,
    checked_out_at          TIMESTAMPTZ,
    checked_out_by          UUID,
    cancellation_reason     TEXT,
    cancelled_at            TIMESTAMPTZ,
    cancelled_by            UUID,
    rescheduled_from_id     UUID,
    rescheduled_to_id       UUID,
    billing_status          VARCHAR(50),
    billing_codes           TEXT[],
    created_at              TIMESTAMPTZ        NOT NULL DEFAULT now(),
    updated_at              TIMESTAMPTZ        NOT NULL DEFAULT now(),
    created_by              UUID,
    updated_by              UUID,

    CONSTRAINT appointments_pkey PRIMARY KEY (id),
    CONSTRAINT appointments_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id) ON DELETE CASCADE,
    CONSTRAINT appointments_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE,
    CONSTRAINT appointments_therapist_id_fkey
        FOREIGN KEY (therapist_id) REFERENCES users (id),
    CONSTRAINT appointments_checked_in_by_fkey
        FOREIGN KEY (checked_in_by) REFERENCES users (id),
    CONSTRAINT appointments_checked_out_by_fkey
        FOREIGN KEY (checked_out_by) REFERENCES users (id),
    CONSTRAINT appointments_cancelled_by_fkey
        FOREIGN KEY (cancelled_by) REFERENCES users (id),
    CONSTRAINT appointments_rescheduled_from_id_fkey
        FOREIGN KEY (rescheduled_from_id) REFERENCES appointments (id),
    CONSTRAINT appointments_rescheduled_to_id_fkey
        FOREIGN KEY (rescheduled_to_id) REFERENCES appointments (id),
    CONSTRAINT appointments_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT appointments_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id)
);

CREATE INDEX idx_appointments_clinic_id ON appointments (clinic_id);
CREATE INDEX idx_appointments_calendar ON appointments (clinic_id, appointment_date, therapist_id, status);
CREATE INDEX idx_appointments_available_slots
    ON appointments (clinic_id, therapist_id, appointment_date, start_time, end_time)
    WHERE status NOT IN ('cancelled', 'rescheduled');
CREATE INDEX idx_appointments_patient_id ON appointments (patient_id);
CREATE INDEX idx_appointments_therapist_id ON appointments (therapist_id);
CREATE INDEX idx_appointments_treatment_plan_id ON appointments (treatment_plan_id);
CREATE INDEX idx_appointments_date ON appointments (appointment_date);
CREATE INDEX idx_appointments_datetime ON appointments (appointment_date, start_time);
CREATE INDEX idx_appointments_type ON appointments (appointment_type);
CREATE INDEX idx_appointments_status ON appointments (status);
CREATE INDEX idx_appointments_recurrence_id ON appointments (recurrence_id);
CREATE INDEX idx_appointments_billing_status ON appointments (billing_status);

CREATE TRIGGER trg_appointments_updated_at
    BEFORE UPDATE ON appointments
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE appointments IS 'Appointments of patients with therapists / Lịch hẹn';
COMMENT ON COLUMN appointments.appointment_type_id IS
    'Kind of appointment defined by the clinic; no foreign key';
COMMENT ON COLUMN appointments.treatment_plan_id IS 'Treatment plan served; no foreign key';
COMMENT ON COLUMN appointments.recurrence_id IS
    'Common to all appointments of one series / Mã chuỗi lịch hẹn';
COMMENT ON COLUMN appointments.rescheduled_from_id IS 'Appointment that this one replaces / Lịch hẹn cũ';
COMMENT ON COLUMN appointments.rescheduled_to_id IS 'Appointment that replaces this one / Lịch hẹn mới';

CREATE FUNCTION check_appointment_conflict(
    p_therapist_id           UUID,
    p_appointment_date       DATE,
    p_start_time             TIME,
    p_end_time               TIME,
    p_exclude_appointment_id UUID DEFAULT NULL
)
RETURNS BOOLEAN
LANGUAGE sql
STABLE
RETURN EXISTS (
    SELECT
    FROM public.appointments AS a
    WHERE a.therapist_id = p_therapist_id
      AND a.appointment_date = p_appointment_date
      AND a.status NOT IN ('cancelled', 'rescheduled')
      AND a.start_time < p_end_time
      AND a.end_time > p_start_time
      AND a.id IS DISTINCT FROM p_exclude_appointment_id
);

COMMENT ON FUNCTION check_appointment_conflict(UUID, DATE, TIME, TIME, UUID) IS
    'Whether the therapist has another appointment then; touching ends do not count / Kiểm tra trùng lịch';
