-- Rollback: 025_appointments_to_come
-- Description: Leaves the appointments as they are: 024 and 023 take the rule and the mark away
-- Lost: nothing. Which of them had no mark before is not known any more.

SELECT count(*) FROM appointments WHERE reserves_time;
