-- Migration: 046_bhyt_benefits_tables
-- Description: Benefit levels of BHYT and groups of insured, with source and days of validity
-- Depends on: 005
-- A card has 15 characters: 2 letters (group of insured), 1 digit (benefit level), 2 digits (province), 10 digits.
-- The figures come from laws and change with them: a new figure is a new row with its source, and the old row gets its
-- last day. A function never holds such a figure.
-- bhyt_validation_rules and validate_bhyt_card stay as they are, for the prefixes of the guide.

CREATE TABLE bhyt_benefit_levels (
    id               UUID         NOT NULL DEFAULT uuid_generate_v4(),
    level_code       VARCHAR(1)   NOT NULL,
    coverage_percent DECIMAL(5,2) NOT NULL,
    limits           TEXT,
    limits_vi        TEXT,
    source           TEXT         NOT NULL,
    valid_from       DATE         NOT NULL,
    valid_to         DATE,
    created_at       TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at       TIMESTAMPTZ  NOT NULL DEFAULT now(),

    CONSTRAINT bhyt_benefit_levels_pkey PRIMARY KEY (id),
    CONSTRAINT uq_bhyt_benefit_level UNIQUE (level_code, valid_from),
    CONSTRAINT chk_bhyt_benefit_levels_code CHECK (level_code ~ '^[0-9]$'),
    CONSTRAINT chk_bhyt_benefit_levels_coverage CHECK (coverage_percent BETWEEN 0 AND 100),
    CONSTRAINT chk_bhyt_benefit_levels_dates CHECK (valid_to >= valid_from)
);

CREATE TRIGGER trg_bhyt_benefit_levels_updated_at
    BEFORE UPDATE ON bhyt_benefit_levels
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE bhyt_benefit_levels IS
    'What the third character of a BHYT card says about coverage / Mức hưởng theo ký tự thứ ba của thẻ BHYT';
COMMENT ON COLUMN bhyt_benefit_levels.coverage_percent IS
    'Share that BHYT pays for a visit by the proper route, percent / Tỷ lệ chi trả khi đúng tuyến';
COMMENT ON COLUMN bhyt_benefit_levels.limits IS 'Limits of the level in words; null: none known';
COMMENT ON COLUMN bhyt_benefit_levels.source IS 'Where the figure comes from / Căn cứ';
COMMENT ON COLUMN bhyt_benefit_levels.valid_to IS 'Last day; null: no end known / Ngày hết hiệu lực';
COMMENT ON CONSTRAINT chk_bhyt_benefit_levels_code ON bhyt_benefit_levels IS 'One digit / Một chữ số';
COMMENT ON CONSTRAINT chk_bhyt_benefit_levels_coverage ON bhyt_benefit_levels IS
    'A share, in percent / Tỷ lệ từ 0 đến 100';
COMMENT ON CONSTRAINT chk_bhyt_benefit_levels_dates ON bhyt_benefit_levels IS
    'Ends no earlier than it begins / Ngày hết hiệu lực không trước ngày bắt đầu';

CREATE TABLE bhyt_insured_groups (
    id         UUID         NOT NULL DEFAULT uuid_generate_v4(),
    group_code VARCHAR(2)   NOT NULL,
    level_code VARCHAR(1)   NOT NULL,
    name       VARCHAR(255),
    name_vi    VARCHAR(255),
    source     TEXT         NOT NULL,
    valid_from DATE         NOT NULL,
    valid_to   DATE,
    created_at TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ  NOT NULL DEFAULT now(),

    CONSTRAINT bhyt_insured_groups_pkey PRIMARY KEY (id),
    CONSTRAINT uq_bhyt_insured_group UNIQUE (group_code, valid_from),
    CONSTRAINT chk_bhyt_insured_groups_code CHECK (group_code ~ '^[A-Z]{2}$'),
    CONSTRAINT chk_bhyt_insured_groups_level CHECK (level_code ~ '^[0-9]$'),
    CONSTRAINT chk_bhyt_insured_groups_dates CHECK (valid_to >= valid_from)
);

CREATE TRIGGER trg_bhyt_insured_groups_updated_at
    BEFORE UPDATE ON bhyt_insured_groups
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

COMMENT ON TABLE bhyt_insured_groups IS
    'Groups of insured, the first two letters of a BHYT card / Đối tượng tham gia BHYT theo hai chữ đầu của thẻ';
COMMENT ON COLUMN bhyt_insured_groups.level_code IS
    'Benefit level that cards of the group usually have; the card itself decides / Mức hưởng thông thường';
COMMENT ON COLUMN bhyt_insured_groups.source IS 'Where the group comes from / Căn cứ';
COMMENT ON COLUMN bhyt_insured_groups.valid_to IS 'Last day; null: no end known / Ngày hết hiệu lực';
COMMENT ON CONSTRAINT chk_bhyt_insured_groups_code ON bhyt_insured_groups IS 'Two capital letters / Hai chữ in hoa';
COMMENT ON CONSTRAINT chk_bhyt_insured_groups_level ON bhyt_insured_groups IS 'One digit / Một chữ số';
COMMENT ON CONSTRAINT chk_bhyt_insured_groups_dates ON bhyt_insured_groups IS
    'Ends no earlier than it begins / Ngày hết hiệu lực không trước ngày bắt đầu';
