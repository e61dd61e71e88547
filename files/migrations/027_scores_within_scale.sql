-- Migration: 027_scores_within_scale
-- Description: Refuses scores outside the scale of their measure
-- Depends on: 006
-- The scale stands in another table, which a check cannot read, so a trigger asks the library: by library_id, else by
-- measure_type. A measure that the library does not have, or that has no limits there, takes any score.
-- The message names the measure and its scale, never the score.
-- Rows in the way are counted first, and then nothing is changed: such a score may have been meant for another scale
-- (NDI in percent instead of 0 to 50), which nobody but the clinic can tell.
-- A scale that is narrowed later says nothing about the scores from before.
-- Locks: SHARE ROW EXCLUSIVE on outcome_measures and its partitions, for milliseconds; the counting blocks nobody.

DO $rows_in_the_way$
DECLARE
    in_the_way bigint;
BEGIN
    SELECT count(*) INTO in_the_way
    FROM outcome_measures AS m
    JOIN outcome_measures_library AS l
      ON l.id = m.library_id OR (m.library_id IS NULL AND l.measure_type = m.measure_type)
    WHERE least(m.baseline_score, m.current_score, m.target_score) < l.scale_min
       OR greatest(m.baseline_score, m.current_score, m.target_score) > l.scale_max;
    IF in_the_way > 0 THEN
        RAISE EXCEPTION '% scores lie outside the scale of their measure', in_the_way USING
            ERRCODE = 'check_violation',
            HINT = 'Correct them. Find them: SELECT m.id, m.measure_type, m.measurement_date FROM outcome_measures AS m '
                   'JOIN outcome_measures_library AS l ON l.id = m.library_id OR (m.library_id IS NULL AND '
                   'l.measure_type = m.measure_type) WHERE least(m.baseline_score, m.current_score, m.target_score) < '
                   'l.scale_min OR greatest(m.baseline_score, m.current_score, m.target_score) > l.scale_max';
    END IF;
END
$rows_in_the_way$;

CREATE FUNCTION check_score_within_scale()
RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    measure record;
BEGIN
    SELECT l.measure_type, l.scale_min, l.scale_max INTO measure
    FROM public.outcome_measures_library AS l
    WHERE CASE WHEN NEW.library_id IS NULL THEN l.measure_type = NEW.measure_type ELSE l.id = NEW.library_id END;
    IF least(NEW.baseline_score, NEW.current_score, NEW.target_score) < measure.scale_min
       OR greatest(NEW.baseline_score, NEW.current_score, NEW.target_score) > measure.scale_max THEN
        RAISE EXCEPTION 'a score of % lies outside its scale, % to %',
            measure.measure_type, measure.scale_min, measure.scale_max
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION check_score_within_scale() IS
    'Trigger: refuses a score outside the scale of its measure / Điểm phải nằm trong thang đo';

CREATE TRIGGER trg_outcome_measures_scale
    BEFORE INSERT OR UPDATE OF library_id, measure_type, baseline_score, current_score, target_score ON outcome_measures
    FOR EACH ROW EXECUTE FUNCTION check_score_within_scale();

COMMENT ON TRIGGER trg_outcome_measures_scale ON outcome_measures IS
    'Scores lie within the scale of the library / Điểm nằm trong thang đo';
