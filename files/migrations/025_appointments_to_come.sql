-- Migration: 025_appointments_to_come
-- Description: The appointments from today on reserve the time of their therapist, also those made before 023
-- Depends on: 024
-- Pairs that overlap are counted first, and then nothing is changed. They lie in the future, so that one of each can be
-- moved; who has to keep both sets reserves_time to false in one of them.
-- Today is the day of Vietnam. Past appointments stay as they are.
-- Locks: the rows of the appointments to come; who changes one of them waits until the file is through, 0.3 s for
-- 1,000 of them on a busy machine.

DO $rows_in_the_way$
DECLARE
    in_the_way bigint;
BEGIN
    SELECT count(*) INTO in_the_way
    FROM appointments AS a JOIN appointments AS b USING (therapist_id, appointment_date)
    WHERE a.id < b.id
      AND a.appointment_date >= (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
      AND a.start_time < b.end_time AND b.start_time < a.end_time
      AND a.status NOT IN ('cancelled', 'rescheduled', 'no_show')
      AND b.status NOT IN ('cancelled', 'rescheduled', 'no_show')
      AND NOT (a.appointment_type = 'group_session' AND b.appointment_type = 'group_session')
      AND a.reserves_time IS NOT false AND b.reserves_time IS NOT false;
    IF in_the_way > 0 THEN
        RAISE EXCEPTION '% pairs of appointments to come overlap', in_the_way USING
            ERRCODE = 'exclusion_violation',
            HINT = 'Move one of each, or set reserves_time to false in one. Find them: SELECT a.id, b.id FROM '
                   'appointments AS a JOIN appointments AS b USING (therapist_id, appointment_date) WHERE a.id < b.id '
                   'AND appointment_date >= (now() AT TIME ZONE ''Asia/Ho_Chi_Minh'')::date '
                   'AND a.start_time < b.end_time AND b.start_time < a.end_time '
                   'AND a.status NOT IN (''cancelled'', ''rescheduled'', ''no_show'') '
                   'AND b.status NOT IN (''cancelled'', ''rescheduled'', ''no_show'') '
                   'AND NOT (a.appointment_type = ''group_session'' AND b.appointment_type = ''group_session'') '
                   'AND a.reserves_time IS NOT false AND b.reserves_time IS NOT false';
    END IF;
END
$rows_in_the_way$;

UPDATE appointments SET reserves_time = true
WHERE reserves_time IS NULL
  AND appointment_date >= (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date;
