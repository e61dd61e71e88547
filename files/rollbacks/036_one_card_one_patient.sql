-- Rollback: 036_one_card_one_patient
-- Description: Several patients of a clinic may have one BHYT card again
-- Lost: nothing.

DROP TRIGGER IF EXISTS trg_insurance_info_card_of_one_patient ON insurance_info;

DROP FUNCTION IF EXISTS check_card_of_one_patient();
