-- Migration: 036_one_card_one_patient
-- Description: Refuses a BHYT card that another patient of the clinic has
-- Depends on: 005
-- One patient may have the card in several rows (renewals), and a patient of another clinic may have it, too.
-- The clinic stands in patients, which a unique index cannot read, so a trigger asks. It does so at the end of the
-- transaction, one transaction of a clinic after another, so that two at the same time do not miss each other: the error
-- (23505) comes from COMMIT. Moving a patient to another clinic does not ask.
-- Rows in the way are counted first, and then nothing is changed.
-- Locks: SHARE ROW EXCLUSIVE on insurance_info, for milliseconds; the counting blocks nobody.

DO $rows_in_the_way$
DECLARE
    in_the_way bigint;
BEGIN
    SELECT count(*) INTO in_the_way
    FROM (
        SELECT FROM insurance_info AS i JOIN patients AS p ON p.id = i.patient_id
        WHERE i.bhyt_card_number IS NOT NULL
        GROUP BY p.clinic_id, i.bhyt_card_number
        HAVING count(DISTINCT i.patient_id) > 1
    ) AS shared_cards;
    IF in_the_way > 0 THEN
        RAISE EXCEPTION '% BHYT cards belong to several patients of a clinic', in_the_way USING
            ERRCODE = 'unique_violation',
            HINT = 'Correct the card, or join the patients. Find them: SELECT p.clinic_id, array_agg(DISTINCT p.id) FROM '
                   'insurance_info AS i JOIN patients AS p ON p.id = i.patient_id WHERE bhyt_card_number IS NOT NULL '
                   'GROUP BY p.clinic_id, bhyt_card_number HAVING count(DISTINCT p.id) > 1';
    END IF;
END
$rows_in_the_way$;

CREATE FUNCTION check_card_of_one_patient()
RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    clinic uuid := (SELECT p.clinic_id FROM public.patients AS p WHERE p.id = NEW.patient_id);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('BHYT cards of ' || clinic, 0));
    -- The row as it is now: the transaction may have changed it again, or deleted it.
    IF EXISTS (
        SELECT
        FROM public.insurance_info AS own
        JOIN public.insurance_info AS theirs
          ON theirs.bhyt_card_number = own.bhyt_card_number AND theirs.patient_id <> own.patient_id
        JOIN public.patients AS p ON p.id = own.patient_id
        JOIN public.patients AS other ON other.id = theirs.patient_id AND other.clinic_id = p.clinic_id
        WHERE own.id = NEW.id
    ) THEN
        RAISE EXCEPTION 'another patient of the clinic has this BHYT card'
            USING ERRCODE = 'unique_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$function$;

COMMENT ON FUNCTION check_card_of_one_patient() IS
    'Trigger: refuses a BHYT card that another patient of the clinic has / Một thẻ BHYT cho một bệnh nhân';

CREATE CONSTRAINT TRIGGER trg_insurance_info_card_of_one_patient
    AFTER INSERT OR UPDATE OF bhyt_card_number, patient_id ON insurance_info
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.bhyt_card_number IS NOT NULL)
    EXECUTE FUNCTION check_card_of_one_patient();

COMMENT ON TRIGGER trg_insurance_info_card_of_one_patient ON insurance_info IS
    'One patient of a clinic has a BHYT card / Một thẻ BHYT cho một bệnh nhân của phòng khám';
