-- Migration: 012_seed_pt_service_codes
-- Description: Eight physiotherapy service codes with prices in VND
-- Depends on: 007
-- clinic_id is null: the services of all clinics.
-- Running the file again changes nothing: codes that exist are kept, with the prices that they have by then.

INSERT INTO pt_service_codes (
    code, service_name, service_name_vi, description, description_vi,
    unit_price, duration_minutes, category, is_bhyt_covered, bhyt_reimbursement_rate
)
VALUES
    ('PT001', 'Therapeutic Exercise', 'Tập luyện trị liệu',
     'Exercises for strength, endurance, flexibility and range of motion',
     'Bài tập tăng sức mạnh, sức bền, độ dẻo và tầm vận động',
     250000.00, 30, 'treatment', true, 80.00),
    ('PT002', 'Manual Therapy', 'Liệu pháp thủ công',
     'Hands-on mobilization of joints and soft tissue',
     'Kỹ thuật dùng tay di động khớp và mô mềm',
     300000.00, 30, 'treatment', true, 80.00),
    ('PT003', 'Modalities', 'Vật lý trị liệu',
     'Heat, cold, electrical stimulation or ultrasound',
     'Nhiệt nóng, nhiệt lạnh, kích thích điện hoặc siêu âm',
     200000.00, 20, 'treatment', true, 80.00),
    ('PT004', 'Gait Training', 'Tập đi',
     'Training of walking, with or without a walking aid',
     'Tập dáng đi, có hoặc không có dụng cụ trợ giúp',
     250000.00, 30, 'treatment', true, 80.00),
    ('PT105', 'Initial Evaluation', 'Đánh giá ban đầu',
     'First examination with history, tests, goals and treatment plan',
     'Khám lần đầu: bệnh sử, các nghiệm pháp, mục tiêu và kế hoạch điều trị',
     500000.00, 60, 'evaluation', true, 80.00),
    ('PT106', 'Re-evaluation', 'Đánh giá lại',
     'Review of progress and adjustment of the treatment plan',
     'Xem xét tiến triển và điều chỉnh kế hoạch điều trị',
     350000.00, 45, 'evaluation', true, 80.00),
    ('PT201', 'Group Therapy', 'Liệu pháp nhóm',
     'Supervised exercise in a small group, price for each patient',
     'Tập luyện có hướng dẫn theo nhóm nhỏ, giá tính cho mỗi bệnh nhân',
     150000.00, 45, 'treatment', true, 70.00),
    ('PT301', 'Home Visit', 'Thăm khám tại nhà',
     'Treatment at the home of the patient',
     'Điều trị tại nhà bệnh nhân',
     600000.00, 60, 'home_care', true, 70.00)
ON CONFLICT (clinic_id, code) DO NOTHING;
