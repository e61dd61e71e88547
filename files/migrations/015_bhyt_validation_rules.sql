-- Migration: 015_bhyt_validation_rules
-- Description: BHYT validation rules and the function that checks a card
-- Depends on: 005
-- 18 rules cover 21 prefixes. Three rules hold two prefixes, which share coverage and copay:
--   NN2, NN3: self_employed, household_business       -> self_employed
--   TN1, TN2: voluntary_new, voluntary_continuous     -> voluntary
--   TX1, TX2: pension, social_allowance               -> social_insurance
-- Running the file again changes nothing: what exists is kept, edited rows too (found by rule_name).
-- Days are days in Vietnam, whatever the time zone of a session: a rule is in effect as soon as it exists.

CREATE TABLE IF NOT EXISTS bhyt_validation_rules (
    id                      UUID         NOT NULL DEFAULT uuid_generate_v4(),
    rule_name               VARCHAR(255) NOT NULL,
    rule_name_vi            VARCHAR(255),
    description             TEXT,
    description_vi          TEXT,
    prefix_codes            JSONB        NOT NULL DEFAULT '[]',
    regex_pattern           VARCHAR(255),
    effective_from          DATE         NOT NULL DEFAULT CURRENT_DATE,
    effective_to            DATE,
    coverage_percent        DECIMAL(5,2),
    copay_rate              DECIMAL(5,2),
    beneficiary_category    VARCHAR(100),
    beneficiary_category_vi VARCHAR(100),
    is_active               BOOLEAN      NOT NULL DEFAULT true,
    created_at              TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at              TIMESTAMPTZ  NOT NULL DEFAULT now(),

    CONSTRAINT bhyt_validation_rules_pkey PRIMARY KEY (id),
    CONSTRAINT uq_bhyt_rule_name UNIQUE (rule_name),
    CONSTRAINT chk_bhyt_validation_rules_coverage_range CHECK (coverage_percent BETWEEN 0 AND 100),
    CONSTRAINT chk_bhyt_validation_rules_copay_range CHECK (copay_rate BETWEEN 0 AND 100),
    CONSTRAINT chk_bhyt_validation_rules_total CHECK (coverage_percent + copay_rate = 100),
    CONSTRAINT chk_bhyt_validation_rules_regex_pattern CHECK (('' ~ regex_pattern) IN (true, false))
);

CREATE INDEX IF NOT EXISTS idx_bhyt_rules_prefix_codes ON bhyt_validation_rules USING gin (prefix_codes);
CREATE INDEX IF NOT EXISTS idx_bhyt_rules_effective ON bhyt_validation_rules (effective_from, effective_to);
CREATE INDEX IF NOT EXISTS idx_bhyt_rules_category ON bhyt_validation_rules (beneficiary_category);
CREATE INDEX IF NOT EXISTS idx_bhyt_rules_is_active ON bhyt_validation_rules (is_active);

CREATE OR REPLACE TRIGGER trg_bhyt_rules_updated_at
    BEFORE UPDATE ON bhyt_validation_rules
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE bhyt_validation_rules IS
    'Validation rules of BHYT card prefixes / Quy tắc kiểm tra mã thẻ bảo hiểm y tế';
COMMENT ON COLUMN bhyt_validation_rules.prefix_codes IS
    'Array of the card prefixes that the rule covers, three characters each';
COMMENT ON COLUMN bhyt_validation_rules.regex_pattern IS
    'Pattern of the whole card number; null matches no card';
COMMENT ON COLUMN bhyt_validation_rules.effective_to IS
    'Last day in effect; null: no end / Ngày hết hiệu lực';
COMMENT ON COLUMN bhyt_validation_rules.coverage_percent IS
    'Share that BHYT pays, percent / Tỷ lệ BHYT chi trả';
COMMENT ON COLUMN bhyt_validation_rules.copay_rate IS
    'Share that the patient pays, percent / Tỷ lệ đồng chi trả';
COMMENT ON CONSTRAINT chk_bhyt_validation_rules_total ON bhyt_validation_rules IS
    'Insurance and patient together pay the whole price';
COMMENT ON CONSTRAINT chk_bhyt_validation_rules_regex_pattern ON bhyt_validation_rules IS
    'Refuses a pattern that does not compile, so that validate_bhyt_card never fails';

INSERT INTO bhyt_validation_rules (
    rule_name, rule_name_vi, prefix_codes, regex_pattern, coverage_percent, copay_rate,
    beneficiary_category, beneficiary_category_vi, description, description_vi, effective_from
)
SELECT rule.*, (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
FROM (
    VALUES
        ('HC1: Civil servants', 'HC1: Công chức',
         '["HC1"]'::jsonb, '^HC1[0-9]{12}$', 80.00, 20.00,
         'civil_servant', 'Công chức', NULL, NULL),
        ('HC2: Retired civil servants', 'HC2: Công chức nghỉ hưu',
         '["HC2"]'::jsonb, '^HC2[0-9]{12}$', 95.00, 5.00,
         'retired_civil_servant', 'Công chức nghỉ hưu', NULL, NULL),
        ('HC3: Dependents of civil servants', 'HC3: Người phụ thuộc công chức',
         '["HC3"]'::jsonb, '^HC3[0-9]{12}$', 80.00, 20.00,
         'civil_servant_dependent', 'Người phụ thuộc công chức', NULL, NULL),
        ('HC4: Military health', 'HC4: Y tế quân đội',
         '["HC4"]'::jsonb, '^HC4[0-9]{12}$', 100.00, 0.00,
         'military_health', 'Y tế quân đội', NULL, NULL),
        ('DN1: Enterprise workers', 'DN1: Lao động doanh nghiệp',
         '["DN1"]'::jsonb, '^DN1[0-9]{12}$', 80.00, 20.00,
         'enterprise_worker', 'Lao động doanh nghiệp', NULL, NULL),
        ('DN2: Contract workers', 'DN2: Lao động hợp đồng',
         '["DN2"]'::jsonb, '^DN2[0-9]{12}$', 80.00, 20.00,
         'enterprise_contract', 'Lao động hợp đồng', NULL, NULL),
        ('DN3: Dependents of enterprise workers', 'DN3: Người phụ thuộc doanh nghiệp',
         '["DN3"]'::jsonb, '^DN3[0-9]{12}$', 80.00, 20.00,
         'enterprise_dependent', 'Người phụ thuộc doanh nghiệp', NULL, NULL),
        ('TE1: Children under 6', 'TE1: Trẻ em dưới 6 tuổi',
         '["TE1"]'::jsonb, '^TE1[0-9]{12}$', 100.00, 0.00,
         'children_under_6', 'Trẻ em dưới 6 tuổi', NULL, NULL),
        ('TE2: Children of poor households', 'TE2: Trẻ em hộ nghèo',
         '["TE2"]'::jsonb, '^TE2[0-9]{12}$', 100.00, 0.00,
         'children_poor', 'Trẻ em hộ nghèo', NULL, NULL),
        ('TE3: Students', 'TE3: Học sinh',
         '["TE3"]'::jsonb, '^TE3[0-9]{12}$', 80.00, 20.00,
         'students', 'Học sinh', NULL, NULL),
        ('CB1: War veterans', 'CB1: Thương binh',
         '["CB1"]'::jsonb, '^CB1[0-9]{12}$', 100.00, 0.00,
         'war_veteran', 'Thương binh', NULL, NULL),
        ('CB2: Dependents of war veterans', 'CB2: Người phụ thuộc thương binh',
         '["CB2"]'::jsonb, '^CB2[0-9]{12}$', 95.00, 5.00,
         'war_veteran_dependent', 'Người phụ thuộc thương binh', NULL, NULL),
        ('XK1: Poor households', 'XK1: Hộ nghèo',
         '["XK1"]'::jsonb, '^XK1[0-9]{12}$', 100.00, 0.00,
         'poor_household', 'Hộ nghèo', NULL, NULL),
        ('XK2: Near-poor households', 'XK2: Hộ cận nghèo',
         '["XK2"]'::jsonb, '^XK2[0-9]{12}$', 95.00, 5.00,
         'near_poor_household', 'Hộ cận nghèo', NULL, NULL),
        ('NN1: Farmers', 'NN1: Nông dân',
         '["NN1"]'::jsonb, '^NN1[0-9]{12}$', 80.00, 20.00,
         'farmer', 'Nông dân', NULL, NULL),
        ('NN2, NN3: Self-employed and household businesses', 'NN2, NN3: Tự kinh doanh và hộ kinh doanh',
         '["NN2", "NN3"]'::jsonb, '^(NN2|NN3)[0-9]{12}$', 80.00, 20.00,
         'self_employed', 'Tự kinh doanh',
         'NN2: self-employed; NN3: household business', 'NN2: tự kinh doanh; NN3: hộ kinh doanh'),
        ('TN1, TN2: Voluntary members', 'TN1, TN2: Tự nguyện',
         '["TN1", "TN2"]'::jsonb, '^(TN1|TN2)[0-9]{12}$', 80.00, 20.00,
         'voluntary', 'Tự nguyện',
         'TN1: new member; TN2: continuous member', 'TN1: tự nguyện mới; TN2: tự nguyện liên tục'),
        ('TX1, TX2: Social insurance', 'TX1, TX2: Bảo hiểm xã hội',
         '["TX1", "TX2"]'::jsonb, '^(TX1|TX2)[0-9]{12}$', 95.00, 5.00,
         'social_insurance', 'Bảo hiểm xã hội',
         'TX1: pension; TX2: social allowance', 'TX1: lương hưu; TX2: trợ cấp xã hội')
) AS rule
ON CONFLICT (rule_name) DO NOTHING;

-- PostgreSQL does not enforce the length of an argument: a longer one arrives whole; the pattern refuses it.
-- With several rules for one prefix the newest counts.
CREATE OR REPLACE FUNCTION validate_bhyt_card(p_card_number VARCHAR(15))
RETURNS TABLE (
    is_valid             BOOLEAN,
    coverage_percent     DECIMAL(5,2),
    copay_rate           DECIMAL(5,2),
    beneficiary_category VARCHAR(100)
)
LANGUAGE sql
STABLE
ROWS 1
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT r.id IS NOT NULL, r.coverage_percent, r.copay_rate, r.beneficiary_category
    FROM (SELECT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date) AS today (day)
    LEFT JOIN LATERAL (
        SELECT b.id, b.coverage_percent, b.copay_rate, b.beneficiary_category
        FROM public.bhyt_validation_rules AS b
        WHERE p_card_number ~ '^[A-Z]{2}[0-9]{13}$'
          AND b.prefix_codes ? left(p_card_number, 3)
          AND p_card_number ~ b.regex_pattern
          AND b.is_active
          AND b.effective_from <= today.day
          AND (b.effective_to IS NULL OR b.effective_to >= today.day)
        ORDER BY b.effective_from DESC, b.rule_name
        LIMIT 1
    ) AS r ON true
$function$;

COMMENT ON FUNCTION validate_bhyt_card(VARCHAR) IS
    'Checks a BHYT card number; always one row; any other text: false and nulls / Kiểm tra thẻ BHYT';
