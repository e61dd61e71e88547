-- Rollback: 048_resolve_bhyt_card
-- Description: Drops the function that reads a BHYT card
-- Lost: nothing.

DROP FUNCTION IF EXISTS resolve_bhyt_card(TEXT, DATE);
