-- Migration: 039_scores_by_session_index
-- Description: Joins the indexes of 038 to one of outcome_measures
-- Depends on: 038
-- The index of the whole table is made without those of the partitions, which are attached one after another. Partitions
-- that playbooks/partitions.yml made ahead get theirs here: their years have hardly begun, so that they are small.
-- Locks: SHARE on outcome_measures and ACCESS EXCLUSIVE on the new indexes, for milliseconds.
-- squawk-ignore-file require-concurrent-index-creation

CREATE INDEX idx_outcome_measures_session_id ON ONLY outcome_measures (treatment_session_id)
    WHERE treatment_session_id IS NOT NULL;

COMMENT ON INDEX idx_outcome_measures_session_id IS 'Scores of a session / Kết quả đo của buổi điều trị';

DO $each_partition$
DECLARE
    partition regclass;
    its_index text;
BEGIN
    FOR partition IN
        SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'outcome_measures'::regclass ORDER BY 1
    LOOP
        its_index := (SELECT relname FROM pg_class WHERE oid = partition) || '_treatment_session_id_idx';
        IF to_regclass(format('%I', its_index)) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %s (treatment_session_id) WHERE treatment_session_id IS NOT NULL',
                           its_index, partition);
        END IF;
        EXECUTE format('ALTER INDEX idx_outcome_measures_session_id ATTACH PARTITION %I', its_index);
    END LOOP;
END
$each_partition$;
