-- Migration: 037_patient_search_name
-- Description: The name by which a patient is searched, in Vietnamese order and without diacritics
-- Depends on: 001, 010
-- 038 makes its index. A user types family, middle and given name, with or without diacritics, and any part of them:
--   SELECT id FROM patients
--   WHERE clinic_id = $1 AND patient_search_name(last_name, first_name, last_name_vi, first_name_vi)
--                            LIKE '%' || vietnamese_unaccent($2) || '%';
-- Who typed diacritics and wants them to count adds: AND lower(last_name_vi || ' ' || first_name_vi) LIKE lower(...).
-- plpgsql, as the planner would take a function of SQL apart, and think that reading all patients is cheap.

CREATE FUNCTION patient_search_name(
    p_last_name     TEXT,
    p_first_name    TEXT,
    p_last_name_vi  TEXT,
    p_first_name_vi TEXT
)
RETURNS TEXT
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN public.vietnamese_unaccent(
        coalesce(p_last_name_vi, p_last_name) || ' ' || coalesce(p_first_name_vi, p_first_name)
    );
END
$function$;

COMMENT ON FUNCTION patient_search_name(TEXT, TEXT, TEXT, TEXT) IS
    'Family, middle and given name without diacritics, for searching / Họ tên không dấu để tìm kiếm';
