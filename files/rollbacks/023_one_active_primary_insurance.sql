-- Rollback: 023_one_active_primary_insurance
-- Description: A patient may have several active primary insurances again
-- Lost: nothing.

DROP INDEX IF EXISTS uq_insurance_active_primary;
