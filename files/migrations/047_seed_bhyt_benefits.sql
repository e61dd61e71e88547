-- Migration: 047_seed_bhyt_benefits
-- Description: Five benefit levels of BHYT and 43 groups of insured
-- Depends on: 046
-- Collected from public sources that cite the decision, not from its text: compare before you rely on a row. The first
-- day is that of the decision.
-- CN (near-poor households) moved from level 3 to 2 with 2026; cards printed before may still show 3.
-- Running the file again changes nothing: what exists is kept, edited rows too.

INSERT INTO bhyt_benefit_levels (level_code, coverage_percent, limits, limits_vi, source, valid_from)
VALUES
    ('1', 100, NULL, NULL,
     'Decision 1351/QĐ-BHXH of 2015-11-16, third character of the card', '2015-11-16'),
    ('2', 100, 'Some technical services, drugs and materials are paid up to a limit.',
     'Một số dịch vụ kỹ thuật, thuốc và vật tư được thanh toán theo tỷ lệ hoặc mức giới hạn.',
     'Decision 1351/QĐ-BHXH of 2015-11-16, third character of the card', '2015-11-16'),
    ('3', 95, NULL, NULL,
     'Decision 1351/QĐ-BHXH of 2015-11-16, third character of the card', '2015-11-16'),
    ('4', 80, NULL, NULL,
     'Decision 1351/QĐ-BHXH of 2015-11-16, third character of the card', '2015-11-16'),
    ('5', 100, 'Army, police and cipher service, with rules of their own.',
     'Quân đội, công an, cơ yếu; theo quy định riêng.',
     'Decision 1351/QĐ-BHXH of 2015-11-16, third character of the card', '2015-11-16')
ON CONFLICT (level_code, valid_from) DO NOTHING;

INSERT INTO bhyt_insured_groups (group_code, level_code, name, name_vi, source, valid_from, valid_to)
SELECT group_code, level_code, name, name_vi, source, valid_from, valid_to
FROM (VALUES
    ('CC', '1', 'People with merits to the revolution', 'Người có công với cách mạng'),
    ('TE', '1', 'Children under 6', 'Trẻ em dưới 6 tuổi'),
    ('CK', '2', 'Other people with merits', 'Người có công khác'),
    ('CB', '2', 'War veterans', 'Cựu chiến binh'),
    ('KC', '2', 'Took part in the resistance wars', 'Người tham gia kháng chiến'),
    ('HN', '2', 'Poor households', 'Hộ nghèo'),
    ('DT', '2', 'Ethnic minorities in difficult areas', 'Người dân tộc thiểu số ở vùng khó khăn'),
    ('DK', '2', 'Residents of very difficult areas', 'Người sống ở vùng đặc biệt khó khăn'),
    ('XD', '2', 'Residents of island communes and districts', 'Người sống ở xã đảo, huyện đảo'),
    ('BT', '2', 'Recipients of monthly social protection', 'Người hưởng trợ cấp bảo trợ xã hội'),
    ('TS', '2', 'Relatives of martyrs', 'Thân nhân liệt sĩ'),
    ('HT', '3', 'Pensioners', 'Người hưởng lương hưu, trợ cấp mất sức lao động'),
    ('TC', '3', 'Relatives of people with merits', 'Thân nhân người có công'),
    ('DN', '4', 'Workers of enterprises', 'Người lao động trong doanh nghiệp'),
    ('HX', '4', 'Workers of cooperatives', 'Người lao động trong hợp tác xã'),
    ('CH', '4', 'Workers of state bodies and organizations', 'Người lao động trong cơ quan, đơn vị nhà nước'),
    ('NN', '4', 'Workers of foreign and international organizations', 'Người lao động trong tổ chức nước ngoài'),
    ('TK', '4', 'Workers of other employers', 'Người lao động trong tổ chức khác'),
    ('HC', '4', 'Civil servants', 'Cán bộ, công chức, viên chức'),
    ('XK', '4', 'Part-time staff of communes', 'Người hoạt động không chuyên trách ở cấp xã'),
    ('TB', '4', 'Monthly benefit for work accidents and diseases', 'Người hưởng trợ cấp tai nạn lao động'),
    ('NO', '4', 'Long sick leave', 'Người hưởng trợ cấp ốm đau dài ngày'),
    ('CT', '4', 'Survivors'' benefit, aged 80 and over', 'Người từ 80 tuổi hưởng trợ cấp tuất'),
    ('XB', '4', 'Former staff of communes with a benefit', 'Cán bộ xã đã nghỉ việc hưởng trợ cấp'),
    ('TN', '4', 'Unemployment benefit', 'Người hưởng trợ cấp thất nghiệp'),
    ('CS', '4', 'Rubber workers with a benefit', 'Công nhân cao su hưởng trợ cấp'),
    ('XN', '4', 'Former staff of communes, paid by the state', 'Cán bộ xã hưởng trợ cấp từ ngân sách'),
    ('MS', '4', 'Benefit for lost capacity has ended', 'Người hết hạn hưởng trợ cấp mất sức lao động'),
    ('HD', '4', 'Members of the assemblies', 'Đại biểu Quốc hội, Hội đồng nhân dân'),
    ('TQ', '4', 'Relatives of army personnel', 'Thân nhân quân nhân'),
    ('TA', '4', 'Relatives of police personnel', 'Thân nhân công an'),
    ('TY', '4', 'Relatives of cipher personnel', 'Thân nhân người làm cơ yếu'),
    ('HG', '4', 'Donors of organs', 'Người đã hiến bộ phận cơ thể'),
    ('LS', '4', 'Foreign students with a scholarship', 'Người nước ngoài học tập theo học bổng'),
    ('PV', '4', 'Carers of people with merits', 'Người phục vụ người có công'),
    ('HS', '4', 'Pupils', 'Học sinh'),
    ('SV', '4', 'Students', 'Sinh viên'),
    ('GB', '4', 'Farm households of average income', 'Hộ nông, lâm, ngư nghiệp có mức sống trung bình'),
    ('GD', '4', 'Households', 'Hộ gia đình'),
    ('QN', '5', 'Army', 'Quân nhân'),
    ('CA', '5', 'Police', 'Công an'),
    ('CY', '5', 'Cipher service', 'Người làm công tác cơ yếu')
) AS insured (group_code, level_code, name, name_vi)
CROSS JOIN (VALUES
    ('Decision 1351/QĐ-BHXH of 2015-11-16, first two characters of the card', DATE '2015-11-16', NULL::date)
) AS decision (source, valid_from, valid_to)
UNION ALL
VALUES
    ('CN', '3', 'Near-poor households', 'Hộ cận nghèo',
     'Decision 1351/QĐ-BHXH of 2015-11-16, first two characters of the card', DATE '2015-11-16', DATE '2025-12-31'),
    ('CN', '2', 'Near-poor households', 'Hộ cận nghèo',
     'Resolution 261/2025/QH15 and letter 38/BYT-BH of 2026-01-06', DATE '2026-01-01', NULL::date)
ON CONFLICT (group_code, valid_from) DO NOTHING;
