-- Migration: 048_resolve_bhyt_card
-- Description: Function that reads a BHYT card as people type it, and says what a card does not tell
-- Depends on: 046
--   SELECT * FROM resolve_bhyt_card('dn 4 01 0123456789');
-- Takes 15 characters (a card) or 10 digits (a social insurance number, which newer cards show alone), in lower case
-- and with spaces, dots or hyphens. Always one row:
--   kind               card, bhxh_number, or unknown
--   group_code, group_name, group_name_vi: the first two characters
--   level_code         the third character, which decides the benefit
--   coverage_percent   share that BHYT pays for a visit by the proper route; null: not known
--   copay_percent      the rest
--   province_code      fourth and fifth character
--   bhxh_number        the last ten digits
--   not_known, not_known_vi: in words, what this answer does not tell
-- validate_bhyt_card stays as it is, for the prefixes of the guide: docs/vietnamese-rules.md says which one to use.

CREATE FUNCTION resolve_bhyt_card(
    p_card TEXT,
    p_day  DATE DEFAULT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
)
RETURNS TABLE (
    kind             TEXT,
    group_code       TEXT,
    group_name       TEXT,
    group_name_vi    TEXT,
    level_code       TEXT,
    coverage_percent DECIMAL(5,2),
    copay_percent    DECIMAL(5,2),
    province_code    TEXT,
    bhxh_number      TEXT,
    not_known        TEXT,
    not_known_vi     TEXT
)
LANGUAGE sql
STABLE
ROWS 1
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        card.kind, card.group_code, g.name, g.name_vi, card.level_code,
        l.coverage_percent, 100 - l.coverage_percent, card.province_code, card.bhxh_number,
        CASE card.kind
            WHEN 'unknown' THEN
                'Neither a card of 15 characters (2 letters, 13 digits) nor a social insurance number of 10 digits.'
            WHEN 'bhxh_number' THEN
                'The social insurance number does not tell group, benefit level, coverage and province: '
                'look the card up at the social insurance.'
            ELSE concat_ws(' ',
                CASE WHEN g.id IS NULL THEN format('The group %s is not known on this day.', card.group_code) END,
                CASE WHEN l.id IS NULL THEN
                    format('The benefit level %s is not known on this day.', card.level_code) END,
                CASE WHEN g.level_code <> card.level_code THEN
                    format('Cards of the group %s usually have level %s.', card.group_code, g.level_code) END,
                l.limits,
                'A card does not tell whether it is valid today, nor what is paid for this visit: its route '
                '(referral, emergency, own wish), small amounts and the co-payments of the year decide, too.')
        END,
        CASE card.kind
            WHEN 'unknown' THEN
                'Không phải thẻ 15 ký tự (2 chữ, 13 số) và cũng không phải mã số BHXH 10 số.'
            WHEN 'bhxh_number' THEN
                'Mã số BHXH không cho biết đối tượng, mức hưởng, tỷ lệ chi trả và tỉnh: '
                'hãy tra cứu thẻ tại cơ quan bảo hiểm xã hội.'
            ELSE concat_ws(' ',
                CASE WHEN g.id IS NULL THEN format('Không rõ đối tượng %s vào ngày này.', card.group_code) END,
                CASE WHEN l.id IS NULL THEN format('Không rõ mức hưởng %s vào ngày này.', card.level_code) END,
                CASE WHEN g.level_code <> card.level_code THEN
                    format('Thẻ của đối tượng %s thường có mức hưởng %s.', card.group_code, g.level_code) END,
                l.limits_vi,
                'Thẻ không cho biết có còn hiệu lực hôm nay không và lần khám này được chi trả bao nhiêu: '
                'tùy tuyến khám (chuyển tuyến, cấp cứu, tự đến), chi phí nhỏ và số tiền cùng chi trả trong năm.')
        END
    FROM (SELECT upper(regexp_replace(coalesce(p_card, ''), '[[:space:].-]', '', 'g'))) AS typed (number)
    CROSS JOIN LATERAL (
        SELECT
            'card' AS kind, left(number, 2) AS group_code, substr(number, 3, 1) AS level_code,
            substr(number, 4, 2) AS province_code, right(number, 10) AS bhxh_number
        WHERE number ~ '^[A-Z]{2}[0-9]{13}$'
        UNION ALL
        SELECT 'bhxh_number', NULL, NULL, NULL, number WHERE number ~ '^[0-9]{10}$'
        UNION ALL
        SELECT 'unknown', NULL, NULL, NULL, NULL WHERE number !~ '^([A-Z]{2}[0-9]{13}|[0-9]{10})$'
    ) AS card
    CROSS JOIN LATERAL (SELECT coalesce(p_day, (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date)) AS asked (day)
    LEFT JOIN LATERAL (
        SELECT i.* FROM public.bhyt_insured_groups AS i
        WHERE i.group_code = card.group_code AND i.valid_from <= asked.day
          AND (i.valid_to IS NULL OR i.valid_to >= asked.day)
        ORDER BY i.valid_from DESC
        LIMIT 1
    ) AS g ON true
    LEFT JOIN LATERAL (
        SELECT b.* FROM public.bhyt_benefit_levels AS b
        WHERE b.level_code = card.level_code AND b.valid_from <= asked.day
          AND (b.valid_to IS NULL OR b.valid_to >= asked.day)
        ORDER BY b.valid_from DESC
        LIMIT 1
    ) AS l ON true
$function$;

COMMENT ON FUNCTION resolve_bhyt_card(TEXT, DATE) IS
    'Reads a BHYT card as people type it; one row, and in words what it does not know / Đọc thẻ BHYT';
