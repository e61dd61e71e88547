-- Migration: 019_values_of_visits_validated
-- Description: Validates the checks of 018 for the rows from before
-- Depends on: 018
-- 018 names the rows in the way and how to find them.
-- Locks: SHARE UPDATE EXCLUSIVE; reading and writing go on while the rows are read.

ALTER TABLE appointments VALIDATE CONSTRAINT chk_appointments_times;
ALTER TABLE appointments VALIDATE CONSTRAINT chk_appointments_duration;
ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_insurance_coverage_range;
ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_insurance_copay_amount;
ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_insurance_valid_dates;
ALTER TABLE insurance_info VALIDATE CONSTRAINT chk_insurance_verification_status;
ALTER TABLE treatment_plans VALIDATE CONSTRAINT chk_treatment_plans_dates;
ALTER TABLE treatment_plans VALIDATE CONSTRAINT chk_treatment_plans_frequency;
ALTER TABLE treatment_plans VALIDATE CONSTRAINT chk_treatment_plans_sessions;
ALTER TABLE treatment_sessions VALIDATE CONSTRAINT chk_treatment_sessions_times;
ALTER TABLE treatment_sessions VALIDATE CONSTRAINT chk_treatment_sessions_duration;
ALTER TABLE visit_checklists VALIDATE CONSTRAINT chk_visit_checklists_progress;

COMMENT ON CONSTRAINT chk_appointments_times ON appointments IS
    'An appointment ends after it begins / Giờ kết thúc sau giờ bắt đầu';
COMMENT ON CONSTRAINT chk_appointments_duration ON appointments IS
    'An appointment takes time / Thời lượng lớn hơn 0';
COMMENT ON CONSTRAINT chk_insurance_coverage_range ON insurance_info IS
    'A share, in percent / Tỷ lệ từ 0 đến 100';
COMMENT ON CONSTRAINT chk_insurance_copay_amount ON insurance_info IS
    'Nobody pays less than nothing / Số tiền không âm';
COMMENT ON CONSTRAINT chk_insurance_valid_dates ON insurance_info IS
    'A policy ends after it begins / Ngày hết hạn không trước ngày hiệu lực';
COMMENT ON CONSTRAINT chk_insurance_verification_status ON insurance_info IS
    'States of the verification / Trạng thái xác minh';
COMMENT ON CONSTRAINT chk_treatment_plans_dates ON treatment_plans IS
    'A plan ends after it begins / Ngày kết thúc không trước ngày bắt đầu';
COMMENT ON CONSTRAINT chk_treatment_plans_frequency ON treatment_plans IS
    'A plan has sessions, and they take time / Số buổi và thời lượng lớn hơn 0';
COMMENT ON CONSTRAINT chk_treatment_plans_sessions ON treatment_plans IS
    'Numbers of sessions / Số buổi không âm';
COMMENT ON CONSTRAINT chk_treatment_sessions_times ON treatment_sessions IS
    'A session ends after it begins / Giờ kết thúc không trước giờ bắt đầu';
COMMENT ON CONSTRAINT chk_treatment_sessions_duration ON treatment_sessions IS
    'Minutes / Số phút không âm';
COMMENT ON CONSTRAINT chk_visit_checklists_progress ON visit_checklists IS
    'A share, in percent / Tỷ lệ từ 0 đến 100';
