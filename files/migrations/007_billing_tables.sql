-- Migration: 007_billing_tables
-- Description: Billing: service codes, invoices, line items and payments in VND
-- Depends on: 001
-- invoices.treatment_session_id is a plain uuid: this file depends on 001 alone.
-- Lists of values are checks, not enum types: dropping the tables leaves nothing behind. Each casts its column
-- to text: then PostgreSQL stores the check in words that a dump and a restore do not change.

CREATE TABLE pt_service_codes (
    id                      UUID          NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id               UUID,
    code                    VARCHAR(20)   NOT NULL,
    service_name            VARCHAR(255)  NOT NULL,
    service_name_vi         VARCHAR(255),
    description             TEXT,
    description_vi          TEXT,
    unit_price              DECIMAL(12,2) NOT NULL DEFAULT 0,
    currency                VARCHAR(3)    NOT NULL DEFAULT 'VND',
    duration_minutes        INTEGER,
    category                VARCHAR(100),
    is_bhyt_covered         BOOLEAN       NOT NULL DEFAULT false,
    bhyt_reimbursement_rate DECIMAL(5,2),
    is_active               BOOLEAN       NOT NULL DEFAULT true,
    created_at              TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at              TIMESTAMPTZ   NOT NULL DEFAULT now(),
    created_by              UUID,

    CONSTRAINT pt_service_codes_pkey PRIMARY KEY (id),
    CONSTRAINT uq_service_code_per_clinic UNIQUE NULLS NOT DISTINCT (clinic_id, code),
    CONSTRAINT pt_service_codes_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT pt_service_codes_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id)
);

CREATE INDEX idx_service_codes_clinic_id ON pt_service_codes (clinic_id);
CREATE INDEX idx_service_codes_code ON pt_service_codes (code);
CREATE INDEX idx_service_codes_category ON pt_service_codes (category);
CREATE INDEX idx_service_codes_bhyt ON pt_service_codes (is_bhyt_covered) WHERE is_bhyt_covered;
CREATE INDEX idx_service_codes_is_active ON pt_service_codes (is_active);

CREATE TRIGGER trg_service_codes_updated_at
    BEFORE UPDATE ON pt_service_codes
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE pt_service_codes IS
    'Catalog of physiotherapy services with prices / Danh mục dịch vụ vật lý trị liệu';
COMMENT ON COLUMN pt_service_codes.clinic_id IS 'Owner; null: service of all clinics';
COMMENT ON COLUMN pt_service_codes.unit_price IS 'Price of one unit / Đơn giá';
COMMENT ON COLUMN pt_service_codes.bhyt_reimbursement_rate IS
    'Share that BHYT reimburses, percent / Tỷ lệ BHYT chi trả';
COMMENT ON CONSTRAINT uq_service_code_per_clinic ON pt_service_codes IS
    'Once for each clinic, and once for the services of all clinics';

CREATE TABLE invoices (
    id                      UUID          NOT NULL DEFAULT uuid_generate_v4(),
    clinic_id               UUID          NOT NULL,
    patient_id              UUID          NOT NULL,
    treatment_session_id    UUID,
    invoice_number          VARCHAR(50)   NOT NULL,
    invoice_date            DATE          NOT NULL DEFAULT CURRENT_DATE,
    subtotal_amount         DECIMAL(12,2) NOT NULL DEFAULT 0,
    discount_amount         DECIMAL(12,2) NOT NULL DEFAULT 0,
    tax_amount              DECIMAL(12,2) NOT NULL DEFAULT 0,
    total_amount            DECIMAL(12,2) NOT NULL DEFAULT 0,
    insurance_amount        DECIMAL(12,2) NOT NULL DEFAULT 0,
    copay_amount            DECIMAL(12,2) NOT NULL DEFAULT 0,
    balance_due             DECIMAL(12,2) NOT NULL DEFAULT 0,
    currency                VARCHAR(3)    NOT NULL DEFAULT 'VND',
    status                  VARCHAR(50)   NOT NULL DEFAULT 'draft',
    bhyt_claim_number       VARCHAR(50),
    bhyt_claim_status       VARCHAR(50),
    bhyt_claim_submitted_at TIMESTAMPTZ,
    notes                   TEXT,
    version                 INTEGER       NOT NULL DEFAULT 1,
    created_at              TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at              TIMESTAMPTZ   NOT NULL DEFAULT now(),
    created_by              UUID,
    updated_by              UUID,

    CONSTRAINT invoices_pkey PRIMARY KEY (id),
    CONSTRAINT uq_invoice_number UNIQUE (clinic_id, invoice_number),
    CONSTRAINT invoices_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT invoices_patient_id_fkey
        FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT invoices_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT invoices_updated_by_fkey
        FOREIGN KEY (updated_by) REFERENCES users (id),
    CONSTRAINT chk_invoices_status CHECK (status::text IN (
        'draft', 'pending', 'submitted', 'approved', 'rejected', 'paid', 'partially_paid',
        'cancelled', 'void'
    ))
);

CREATE INDEX idx_invoices_clinic_id ON invoices (clinic_id);
CREATE INDEX idx_invoices_patient_id ON invoices (patient_id);
CREATE INDEX idx_invoices_session_id ON invoices (treatment_session_id);
CREATE INDEX idx_invoices_invoice_number ON invoices (invoice_number);
CREATE INDEX idx_invoices_invoice_date ON invoices (invoice_date);
CREATE INDEX idx_invoices_status ON invoices (status);
CREATE INDEX idx_invoices_bhyt_claim ON invoices (bhyt_claim_number) WHERE bhyt_claim_number IS NOT NULL;

CREATE TRIGGER trg_invoices_updated_at
    BEFORE UPDATE ON invoices
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE invoices IS 'Invoices, split between insurance and patient / Hóa đơn';
COMMENT ON COLUMN invoices.treatment_session_id IS 'Session billed; no foreign key';
COMMENT ON COLUMN invoices.insurance_amount IS 'Part that the insurer pays / Bảo hiểm chi trả';
COMMENT ON COLUMN invoices.copay_amount IS 'Part that the patient pays / Bệnh nhân đồng chi trả';
COMMENT ON COLUMN invoices.balance_due IS 'Amount still to be paid / Còn phải trả';
COMMENT ON COLUMN invoices.bhyt_claim_number IS 'Number of the insurance claim / Mã hồ sơ thanh toán BHYT';
COMMENT ON COLUMN invoices.version IS 'Counter of edits, for optimistic locking';

CREATE TABLE invoice_line_items (
    id                       UUID          NOT NULL DEFAULT uuid_generate_v4(),
    invoice_id               UUID          NOT NULL,
    service_code_id          UUID,
    description              VARCHAR(500)  NOT NULL,
    description_vi           VARCHAR(500),
    quantity                 INTEGER       NOT NULL DEFAULT 1,
    unit_price               DECIMAL(12,2) NOT NULL,
    total_price              DECIMAL(12,2) NOT NULL,
    is_bhyt_covered          BOOLEAN       NOT NULL DEFAULT false,
    insurance_covered_amount DECIMAL(12,2) NOT NULL DEFAULT 0,
    sort_order               INTEGER       NOT NULL DEFAULT 0,
    created_at               TIMESTAMPTZ   NOT NULL DEFAULT now(),

    CONSTRAINT invoice_line_items_pkey PRIMARY KEY (id),
    CONSTRAINT invoice_line_items_invoice_id_fkey
        FOREIGN KEY (invoice_id) REFERENCES invoices (id) ON DELETE CASCADE,
    CONSTRAINT invoice_line_items_service_code_id_fkey
        FOREIGN KEY (service_code_id) REFERENCES pt_service_codes (id)
);

CREATE INDEX idx_invoice_items_invoice_id ON invoice_line_items (invoice_id);
CREATE INDEX idx_invoice_items_service_code ON invoice_line_items (service_code_id);

COMMENT ON TABLE invoice_line_items IS 'Line items of an invoice / Chi tiết hóa đơn';
COMMENT ON COLUMN invoice_line_items.insurance_covered_amount IS
    'Part of total_price that the insurer pays / Bảo hiểm chi trả';

CREATE TABLE payments (
    id                    UUID          NOT NULL DEFAULT uuid_generate_v4(),
    invoice_id            UUID          NOT NULL,
    clinic_id             UUID          NOT NULL,
    amount                DECIMAL(12,2) NOT NULL,
    currency              VARCHAR(3)    NOT NULL DEFAULT 'VND',
    payment_method        VARCHAR(50)   NOT NULL,
    payment_date          TIMESTAMPTZ   NOT NULL DEFAULT now(),
    transaction_reference VARCHAR(100),
    receipt_number        VARCHAR(50),
    status                VARCHAR(50)   NOT NULL DEFAULT 'completed',
    refund_amount         DECIMAL(12,2),
    refunded_at           TIMESTAMPTZ,
    notes                 TEXT,
    created_at            TIMESTAMPTZ   NOT NULL DEFAULT now(),
    updated_at            TIMESTAMPTZ   NOT NULL DEFAULT now(),
    created_by            UUID,

    CONSTRAINT payments_pkey PRIMARY KEY (id),
    CONSTRAINT payments_invoice_id_fkey
        FOREIGN KEY (invoice_id) REFERENCES invoices (id),
    CONSTRAINT payments_clinic_id_fkey
        FOREIGN KEY (clinic_id) REFERENCES clinics (id),
    CONSTRAINT payments_created_by_fkey
        FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT chk_payments_payment_method CHECK (payment_method::text IN (
        'cash', 'card', 'bank_transfer', 'momo', 'zalopay', 'vnpay', 'bhyt'
    ))
);

CREATE INDEX idx_payments_invoice_id ON payments (invoice_id);
CREATE INDEX idx_payments_clinic_id ON payments (clinic_id);
CREATE INDEX idx_payments_payment_method ON payments (payment_method);
CREATE INDEX idx_payments_payment_date ON payments (payment_date);
CREATE INDEX idx_payments_receipt_number ON payments (receipt_number);
CREATE INDEX idx_payments_status ON payments (status);

CREATE TRIGGER trg_payments_updated_at
    BEFORE UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE payments IS 'Payments for invoices / Thanh toán';
COMMENT ON COLUMN payments.payment_method IS 'Way of payment / Phương thức thanh toán';
COMMENT ON COLUMN payments.receipt_number IS 'Number on the receipt / Số biên lai';
COMMENT ON COLUMN payments.status IS 'Not enforced; in use: completed, refunded, failed';
COMMENT ON CONSTRAINT chk_payments_payment_method ON payments IS 'Ways of payment that clinics accept';
