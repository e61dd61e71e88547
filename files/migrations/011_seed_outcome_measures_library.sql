-- Migration: 011_seed_outcome_measures_library
-- Description: Eight outcome measures in the reference library
-- Depends on: 006
-- Sources differ on ranges and MCID of NDI, ODI and DASH; these are the figures of the product documentation:
-- NDI 0-50 with MCID 7.5, ODI and DASH with MCID 10.
-- Running the file again changes nothing: what exists is kept, edited too (found by measure_type).

INSERT INTO outcome_measures_library (
    measure_type, measure_type_vi, description, description_vi,
    scale_min, scale_max, higher_is_better, mcid_threshold, category, applicable_body_regions
)
VALUES
    ('VAS', 'Thang đo đau VAS',
     'Visual Analog Scale: pain intensity marked on a line',
     'Thang đo trực quan: cường độ đau được đánh dấu trên một đường thẳng',
     0, 10, false, 2.0, 'pain', ARRAY['full_body']),
    ('NDI', 'Chỉ số khuyết tật cổ',
     'Neck Disability Index: effect of neck pain on daily life, ten sections',
     'Chỉ số khuyết tật cổ: ảnh hưởng của đau cổ đến sinh hoạt hằng ngày, gồm mười mục',
     0, 50, false, 7.5, 'disability', ARRAY['cervical_spine', 'neck']),
    ('ODI', 'Chỉ số khuyết tật Oswestry',
     'Oswestry Disability Index: effect of low back pain on daily life, percent',
     'Chỉ số khuyết tật Oswestry: ảnh hưởng của đau thắt lưng đến sinh hoạt hằng ngày, tính theo phần trăm',
     0, 100, false, 10.0, 'disability', ARRAY['lumbar_spine', 'lower_back']),
    ('LEFS', 'Thang chức năng chi dưới',
     'Lower Extremity Functional Scale: difficulty of twenty activities of the legs',
     'Thang chức năng chi dưới: mức độ khó khăn khi thực hiện hai mươi hoạt động của chi dưới',
     0, 80, true, 9.0, 'function', ARRAY['hip', 'knee', 'ankle', 'foot', 'lower_extremity']),
    ('DASH', 'Chỉ số khuyết tật tay-vai-cẳng tay',
     'Disabilities of Arm, Shoulder, Hand: symptoms and function of the arm, thirty items',
     'Chỉ số khuyết tật tay-vai-cẳng tay: triệu chứng và chức năng chi trên, gồm ba mươi mục',
     0, 100, false, 10.0, 'disability', ARRAY['shoulder', 'elbow', 'wrist', 'hand', 'upper_extremity']),
    ('QuickDASH', 'DASH rút gọn',
     'Quick DASH: short form of DASH with eleven items',
     'DASH rút gọn: phiên bản ngắn của DASH, gồm mười một mục',
     0, 100, false, 8.0, 'disability', ARRAY['shoulder', 'elbow', 'wrist', 'hand', 'upper_extremity']),
    ('PSFS', 'Thang chức năng đặc hiệu',
     'Patient-Specific Functional Scale: activities that the patient names and rates',
     'Thang chức năng đặc hiệu: các hoạt động do bệnh nhân tự chọn và tự chấm điểm',
     0, 10, true, 2.0, 'function', ARRAY['full_body']),
    ('FIM', 'Thang độc lập chức năng',
     'Functional Independence Measure: help needed in eighteen daily activities',
     'Thang độc lập chức năng: mức độ cần trợ giúp trong mười tám hoạt động hằng ngày',
     18, 126, true, 22.0, 'independence', ARRAY['full_body'])
ON CONFLICT (measure_type) DO NOTHING;
