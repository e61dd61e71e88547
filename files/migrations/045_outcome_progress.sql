-- Migration: 045_outcome_progress
-- Description: View that tells improved patients from worsened ones, by the direction of the measure
-- Depends on: 006
-- outcome_measures.mcid_met is the size of the change alone, and stays so. Here a change counts in the direction of the
-- measure: VAS, NDI, ODI, DASH and QuickDASH fall when a patient gets better; LEFS, PSFS and FIM rise.
-- progress is null while baseline, score, MCID or direction is unknown.
-- security_invoker: the view shows what the caller may see, also with row level security.

CREATE VIEW outcome_progress WITH (security_invoker = true) AS
SELECT
    scored.id,
    scored.patient_id,
    scored.measure_type,
    scored.measurement_date,
    scored.baseline_score,
    scored.current_score,
    scored.higher_is_better,
    scored.improvement,
    scored.mcid_threshold,
    scored.mcid_met,
    CASE
        WHEN scored.improvement IS NULL OR scored.mcid_met IS NULL THEN NULL
        WHEN NOT scored.mcid_met OR scored.improvement = 0 THEN 'unchanged'
        WHEN scored.improvement > 0 THEN 'improved'
        ELSE 'worsened'
    END AS progress
FROM (
    SELECT
        m.id, m.patient_id, m.measure_type, m.measurement_date, m.baseline_score, m.current_score,
        m.mcid_threshold, m.mcid_met,
        coalesce(by_id.higher_is_better, by_type.higher_is_better) AS higher_is_better,
        CASE
            WHEN coalesce(by_id.higher_is_better, by_type.higher_is_better) THEN m.current_score - m.baseline_score
            WHEN NOT coalesce(by_id.higher_is_better, by_type.higher_is_better) THEN m.baseline_score - m.current_score
        END AS improvement
    FROM outcome_measures AS m
    LEFT JOIN outcome_measures_library AS by_id ON by_id.id = m.library_id
    LEFT JOIN outcome_measures_library AS by_type
           ON m.library_id IS NULL AND by_type.measure_type = m.measure_type
) AS scored;

COMMENT ON VIEW outcome_progress IS
    'Scores with their change in the direction of the measure / Tiến triển theo chiều của thang đo';
COMMENT ON COLUMN outcome_progress.improvement IS
    'Points by which the patient is better than at the baseline; negative: worse / Số điểm cải thiện';
COMMENT ON COLUMN outcome_progress.mcid_met IS
    'Size of the change alone, in either direction, as in outcome_measures';
COMMENT ON COLUMN outcome_progress.progress IS
    'improved or worsened: by the MCID or more; unchanged: by less; null: unknown / Tiến triển';
