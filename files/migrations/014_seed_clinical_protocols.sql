-- Migration: 014_seed_clinical_protocols
-- Description: Five treatment protocol templates
-- Depends on: 008
-- clinic_id is null: the protocols of all clinics. A therapist adapts the texts to the patient.
-- measurable_criteria and precautions come in Vietnamese, too: keys with suffix _vi.
-- Running the file again changes nothing: protocols that exist are kept, edited ones too (found by name).

INSERT INTO clinical_protocols (
    protocol_name, protocol_name_vi, description, description_vi,
    category, duration_weeks, frequency_per_week, session_duration_minutes,
    applicable_diagnoses, body_regions, goals, exercises, progression_criteria
)
VALUES
    (
        'Lower Back Pain Rehabilitation', 'Phục hồi đau thắt lưng',
        'Pain relief, core stability and return to daily activities for non-specific lower back pain',
        'Giảm đau, ổn định cơ thân mình và trở lại sinh hoạt cho người đau thắt lưng không đặc hiệu',
        'musculoskeletal', 8, 3, 45,
        ARRAY['M54.5', 'M54.4', 'M54.9'], ARRAY['lumbar_spine'],
        -- Goals / Mục tiêu
        $json$
[
  {
    "type": "short_term", "target_timeframe_weeks": 4,
    "description": "Reduce pain by 50%",
    "description_vi": "Giảm đau 50%",
    "measurable_criteria": "VAS falls by half from baseline",
    "measurable_criteria_vi": "Điểm VAS giảm một nửa so với ban đầu"
  },
  {
    "type": "short_term", "target_timeframe_weeks": 4,
    "description": "Improve lumbar mobility",
    "description_vi": "Cải thiện vận động cột sống thắt lưng",
    "measurable_criteria": "Fingertip-to-floor distance falls by 10 cm",
    "measurable_criteria_vi": "Khoảng cách ngón tay - sàn giảm 10 cm"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 8,
    "description": "Return to daily activities",
    "description_vi": "Trở lại sinh hoạt hằng ngày",
    "measurable_criteria": "ODI falls by 10 points or more",
    "measurable_criteria_vi": "Điểm ODI giảm từ 10 điểm trở lên"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 8,
    "description": "Exercise independently to prevent relapse",
    "description_vi": "Tự tập luyện để phòng ngừa tái phát",
    "measurable_criteria": "Performs the home program without correction",
    "measurable_criteria_vi": "Thực hiện đúng chương trình tại nhà mà không cần sửa"
  }
]
        $json$,
        -- Exercises / Bài tập
        $json$
[
  {
    "name": "Pelvic Tilts", "name_vi": "Nghiêng xương chậu",
    "description": "Lie on the back with bent knees and press the lower back to the floor",
    "description_vi": "Nằm ngửa, gập gối, ép thắt lưng xuống sàn",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Do not hold the breath"],
    "precautions_vi": ["Không nín thở"]
  },
  {
    "name": "Cat-Cow Stretch", "name_vi": "Giãn cơ mèo-bò",
    "description": "On hands and knees, round and arch the back slowly",
    "description_vi": "Chống hai tay và hai gối, cong rồi võng lưng chậm rãi",
    "sets": 2, "reps": 10, "duration_seconds": null, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Stay in the pain-free range"],
    "precautions_vi": ["Chỉ tập trong tầm không đau"]
  },
  {
    "name": "Bird-Dog", "name_vi": "Chó-chim",
    "description": "On hands and knees, stretch the opposite arm and leg",
    "description_vi": "Chống hai tay và hai gối, duỗi tay và chân đối bên",
    "sets": 3, "reps": 8, "duration_seconds": null, "frequency_per_day": 1, "phase": "intermediate",
    "precautions": ["Keep the back still"],
    "precautions_vi": ["Giữ yên lưng"]
  },
  {
    "name": "Dead Bug", "name_vi": "Bọ chết",
    "description": "On the back, lower the opposite arm and leg in turn",
    "description_vi": "Nằm ngửa, lần lượt hạ tay và chân đối bên",
    "sets": 3, "reps": 8, "duration_seconds": null, "frequency_per_day": 1, "phase": "intermediate",
    "precautions": ["Keep the lower back on the floor"],
    "precautions_vi": ["Giữ thắt lưng sát sàn"]
  },
  {
    "name": "Plank", "name_vi": "Plank",
    "description": "Hold the body straight on forearms and toes",
    "description_vi": "Giữ thân thẳng trên hai cẳng tay và mũi chân",
    "sets": 3, "reps": 1, "duration_seconds": 30, "frequency_per_day": 1, "phase": "advanced",
    "precautions": ["Stop if the back sags or hurts"],
    "precautions_vi": ["Ngừng nếu lưng võng hoặc đau"]
  }
]
        $json$,
        -- Progression / Tiến triển
        $json$
{
  "phase_transitions": [
    {
      "from_phase": "initial", "to_phase": "intermediate", "typical_week": 3,
      "criteria": "Pain at rest 4 of 10 or less, pelvic tilts without pain",
      "criteria_vi": "Đau khi nghỉ từ 4/10 trở xuống, nghiêng xương chậu không đau"
    },
    {
      "from_phase": "intermediate", "to_phase": "advanced", "typical_week": 6,
      "criteria": "Bird-dog and dead bug with a stable back",
      "criteria_vi": "Tập chó-chim và bọ chết với lưng ổn định"
    }
  ],
  "discharge_criteria": "Pain 2 of 10 or less, ODI improved by 10 points, independent home program",
  "discharge_criteria_vi": "Đau từ 2/10 trở xuống, ODI cải thiện 10 điểm, tự tập tại nhà"
}
        $json$
    ),
    (
        'Shoulder Pain Rehabilitation', 'Phục hồi đau vai',
        'Mobility, rotator cuff strength and scapular control for shoulder pain',
        'Tầm vận động, sức mạnh chóp xoay và kiểm soát xương bả vai cho người đau vai',
        'musculoskeletal', 12, 3, 45,
        ARRAY['M75.0', 'M75.1', 'M75.4'], ARRAY['shoulder'],
        -- Goals / Mục tiêu
        $json$
[
  {
    "type": "short_term", "target_timeframe_weeks": 4,
    "description": "Reduce pain by 50%",
    "description_vi": "Giảm đau 50%",
    "measurable_criteria": "VAS falls by half from baseline",
    "measurable_criteria_vi": "Điểm VAS giảm một nửa so với ban đầu"
  },
  {
    "type": "short_term", "target_timeframe_weeks": 6,
    "description": "Regain passive range of motion",
    "description_vi": "Phục hồi tầm vận động thụ động",
    "measurable_criteria": "Passive flexion of 150 degrees",
    "measurable_criteria_vi": "Gấp vai thụ động đạt 150 độ"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 12,
    "description": "Restore shoulder strength",
    "description_vi": "Phục hồi sức mạnh vai",
    "measurable_criteria": "Manual muscle test 5 of 5 in rotation and abduction",
    "measurable_criteria_vi": "Sức cơ xoay và dạng vai đạt 5/5"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 12,
    "description": "Return to overhead activities",
    "description_vi": "Trở lại các hoạt động trên đầu",
    "measurable_criteria": "DASH falls by 10 points or more",
    "measurable_criteria_vi": "Điểm DASH giảm từ 10 điểm trở lên"
  }
]
        $json$,
        -- Exercises / Bài tập
        $json$
[
  {
    "name": "Pendulum Exercise", "name_vi": "Bài tập con lắc",
    "description": "Bend forward and let the arm swing in small circles",
    "description_vi": "Cúi người, để tay đung đưa theo vòng tròn nhỏ",
    "sets": 1, "reps": 20, "duration_seconds": null, "frequency_per_day": 3, "phase": "initial",
    "precautions": ["Keep the shoulder relaxed"],
    "precautions_vi": ["Thả lỏng vai"]
  },
  {
    "name": "Isometric External Rotation", "name_vi": "Xoay ngoài đẳng trường",
    "description": "Press the back of the hand against a wall without moving",
    "description_vi": "Ép mu bàn tay vào tường mà không cử động",
    "sets": 3, "reps": 10, "duration_seconds": 5, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Use half of full force at most"],
    "precautions_vi": ["Dùng tối đa một nửa sức"]
  },
  {
    "name": "Scapular Retraction", "name_vi": "Rút xương bả vai",
    "description": "Draw the shoulder blades together and hold",
    "description_vi": "Kéo hai xương bả vai lại gần nhau và giữ",
    "sets": 3, "reps": 15, "duration_seconds": 5, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Do not lift the shoulders"],
    "precautions_vi": ["Không nhún vai"]
  },
  {
    "name": "Resistance Band External Rotation", "name_vi": "Xoay ngoài với dây kháng lực",
    "description": "Turn the forearm outwards against a band, elbow at the side",
    "description_vi": "Xoay cẳng tay ra ngoài kháng lại dây, khuỷu sát thân",
    "sets": 3, "reps": 12, "duration_seconds": null, "frequency_per_day": 1, "phase": "intermediate",
    "precautions": ["Start with a light band"],
    "precautions_vi": ["Bắt đầu với dây nhẹ"]
  },
  {
    "name": "Wall Push-Up Plus", "name_vi": "Chống đẩy tường Plus",
    "description": "Push up against a wall and round the shoulder blades at the end",
    "description_vi": "Chống đẩy vào tường, cuối động tác đẩy xương bả vai ra trước",
    "sets": 3, "reps": 12, "duration_seconds": null, "frequency_per_day": 1, "phase": "intermediate",
    "precautions": ["Stop at pain in front of the shoulder"],
    "precautions_vi": ["Ngừng nếu đau phía trước vai"]
  },
  {
    "name": "Overhead Press", "name_vi": "Đẩy trên đầu",
    "description": "Press a light weight overhead",
    "description_vi": "Đẩy tạ nhẹ lên quá đầu",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 1, "phase": "advanced",
    "precautions": ["Only with full range without pain"],
    "precautions_vi": ["Chỉ tập khi đủ tầm và không đau"]
  }
]
        $json$,
        -- Progression / Tiến triển
        $json$
{
  "phase_transitions": [
    {
      "from_phase": "initial", "to_phase": "intermediate", "typical_week": 4,
      "criteria": "Pain at rest 3 of 10 or less, passive flexion of 120 degrees",
      "criteria_vi": "Đau khi nghỉ từ 3/10 trở xuống, gấp vai thụ động 120 độ"
    },
    {
      "from_phase": "intermediate", "to_phase": "advanced", "typical_week": 8,
      "criteria": "Active flexion of 150 degrees, strength 4 of 5",
      "criteria_vi": "Gấp vai chủ động 150 độ, sức cơ 4/5"
    }
  ],
  "discharge_criteria": "Full range without pain, strength 5 of 5, DASH improved by 10 points",
  "discharge_criteria_vi": "Đủ tầm vận động không đau, sức cơ 5/5, DASH cải thiện 10 điểm"
}
        $json$
    ),
    (
        'Knee Osteoarthritis Management', 'Quản lý thoái hóa khớp gối',
        'Quadriceps strength, joint mobility and walking endurance for knee osteoarthritis',
        'Sức mạnh cơ tứ đầu, vận động khớp và sức bền khi đi cho người thoái hóa khớp gối',
        'musculoskeletal', 8, 3, 45,
        ARRAY['M17.0', 'M17.1', 'M17.9'], ARRAY['knee'],
        -- Goals / Mục tiêu
        $json$
[
  {
    "type": "short_term", "target_timeframe_weeks": 4,
    "description": "Reduce pain by 30%",
    "description_vi": "Giảm đau 30%",
    "measurable_criteria": "VAS falls by 30% from baseline",
    "measurable_criteria_vi": "Điểm VAS giảm 30% so với ban đầu"
  },
  {
    "type": "short_term", "target_timeframe_weeks": 4,
    "description": "Improve knee range of motion",
    "description_vi": "Cải thiện tầm vận động khớp gối",
    "measurable_criteria": "Flexion gains 10 degrees",
    "measurable_criteria_vi": "Gấp gối tăng 10 độ"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 8,
    "description": "Walk for 30 minutes",
    "description_vi": "Đi bộ 30 phút",
    "measurable_criteria": "Pain while walking 3 of 10 or less",
    "measurable_criteria_vi": "Đau khi đi từ 3/10 trở xuống"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 8,
    "description": "Improve leg function",
    "description_vi": "Cải thiện chức năng chi dưới",
    "measurable_criteria": "LEFS rises by 9 points or more",
    "measurable_criteria_vi": "Điểm LEFS tăng từ 9 điểm trở lên"
  }
]
        $json$,
        -- Exercises / Bài tập
        $json$
[
  {
    "name": "Quad Sets", "name_vi": "Co cơ tứ đầu đẳng trường",
    "description": "Tighten the thigh with the knee straight and hold",
    "description_vi": "Gồng cơ đùi khi gối duỗi thẳng và giữ",
    "sets": 3, "reps": 10, "duration_seconds": 10, "frequency_per_day": 3, "phase": "initial",
    "precautions": ["Do not hold the breath"],
    "precautions_vi": ["Không nín thở"]
  },
  {
    "name": "Straight Leg Raise", "name_vi": "Nâng chân thẳng",
    "description": "On the back, lift the straight leg to the height of the other knee",
    "description_vi": "Nằm ngửa, nâng chân thẳng ngang gối bên kia",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Stop at pain in the lower back"],
    "precautions_vi": ["Ngừng nếu đau thắt lưng"]
  },
  {
    "name": "Heel Slides", "name_vi": "Trượt gót chân",
    "description": "Slide the heel towards the buttock and back",
    "description_vi": "Trượt gót chân về phía mông rồi duỗi ra",
    "sets": 3, "reps": 15, "duration_seconds": null, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Stay in the pain-free range"],
    "precautions_vi": ["Chỉ tập trong tầm không đau"]
  },
  {
    "name": "Mini Squats", "name_vi": "Squat nhỏ",
    "description": "Bend the knees a little while holding a support",
    "description_vi": "Nhún gối nhẹ khi vịn điểm tựa",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 1, "phase": "intermediate",
    "precautions": ["Do not bend beyond 45 degrees"],
    "precautions_vi": ["Không gập gối quá 45 độ"]
  },
  {
    "name": "Step-Ups", "name_vi": "Bước lên bậc",
    "description": "Step up and down a low step",
    "description_vi": "Bước lên và xuống một bậc thấp",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 1, "phase": "intermediate",
    "precautions": ["Hold a rail if unsteady"],
    "precautions_vi": ["Vịn tay nếu không vững"]
  },
  {
    "name": "Stationary Cycling", "name_vi": "Đạp xe tại chỗ",
    "description": "Cycle at low resistance",
    "description_vi": "Đạp xe với lực cản thấp",
    "sets": 1, "reps": 1, "duration_seconds": 900, "frequency_per_day": 1, "phase": "advanced",
    "precautions": ["Set the saddle high"],
    "precautions_vi": ["Chỉnh yên cao"]
  }
]
        $json$,
        -- Progression / Tiến triển
        $json$
{
  "phase_transitions": [
    {
      "from_phase": "initial", "to_phase": "intermediate", "typical_week": 3,
      "criteria": "Straight leg raise without lag, pain 4 of 10 or less",
      "criteria_vi": "Nâng chân thẳng không trễ duỗi, đau từ 4/10 trở xuống"
    },
    {
      "from_phase": "intermediate", "to_phase": "advanced", "typical_week": 6,
      "criteria": "Ten mini squats without more pain",
      "criteria_vi": "Squat nhỏ mười lần không tăng đau"
    }
  ],
  "discharge_criteria": "Walks 30 minutes, LEFS improved by 9 points, independent home program",
  "discharge_criteria_vi": "Đi bộ 30 phút, LEFS cải thiện 9 điểm, tự tập tại nhà"
}
        $json$
    ),
    (
        'Post-Stroke Rehabilitation', 'Phục hồi sau đột quỵ',
        'Mobility, balance, gait and arm function after a stroke',
        'Di chuyển, thăng bằng, dáng đi và chức năng tay sau đột quỵ',
        'neurological', 16, 5, 60,
        ARRAY['I63.9', 'I61.9', 'I64'], ARRAY['full_body'],
        -- Goals / Mục tiêu
        $json$
[
  {
    "type": "short_term", "target_timeframe_weeks": 4,
    "description": "Sit without support",
    "description_vi": "Ngồi không cần hỗ trợ",
    "measurable_criteria": "Sits for 5 minutes without support",
    "measurable_criteria_vi": "Ngồi 5 phút không cần hỗ trợ"
  },
  {
    "type": "short_term", "target_timeframe_weeks": 6,
    "description": "Transfer with little help",
    "description_vi": "Dịch chuyển với ít trợ giúp",
    "measurable_criteria": "Bed to chair with help of one person",
    "measurable_criteria_vi": "Từ giường sang ghế với một người trợ giúp"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 16,
    "description": "Walk indoors safely",
    "description_vi": "Đi lại an toàn trong nhà",
    "measurable_criteria": "Walks 50 metres with or without an aid",
    "measurable_criteria_vi": "Đi 50 mét, có hoặc không có dụng cụ"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 16,
    "description": "Independence in daily activities",
    "description_vi": "Độc lập trong sinh hoạt hằng ngày",
    "measurable_criteria": "FIM rises by 22 points or more",
    "measurable_criteria_vi": "Điểm FIM tăng từ 22 điểm trở lên"
  }
]
        $json$,
        -- Exercises / Bài tập
        $json$
[
  {
    "name": "Bed Mobility Training", "name_vi": "Tập di chuyển trên giường",
    "description": "Roll to both sides and come up to sitting",
    "description_vi": "Lăn sang hai bên và ngồi dậy",
    "sets": 3, "reps": 5, "duration_seconds": null, "frequency_per_day": 3, "phase": "initial",
    "precautions": ["Protect the weak shoulder"],
    "precautions_vi": ["Bảo vệ vai bên yếu"]
  },
  {
    "name": "Sitting Balance", "name_vi": "Tập thăng bằng ngồi",
    "description": "Sit on the edge of the bed and reach in all directions",
    "description_vi": "Ngồi mép giường và với tay theo các hướng",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Stay beside the patient"],
    "precautions_vi": ["Luôn ở cạnh bệnh nhân"]
  },
  {
    "name": "Sit-to-Stand Transfer", "name_vi": "Tập đứng dậy từ ngồi",
    "description": "Stand up with equal weight on both legs",
    "description_vi": "Đứng dậy, dồn đều trọng lượng lên hai chân",
    "sets": 3, "reps": 5, "duration_seconds": null, "frequency_per_day": 2, "phase": "intermediate",
    "precautions": ["Watch blood pressure and dizziness"],
    "precautions_vi": ["Theo dõi huyết áp và chóng mặt"]
  },
  {
    "name": "Standing Balance", "name_vi": "Tập thăng bằng đứng",
    "description": "Shift weight from side to side in standing",
    "description_vi": "Đứng và chuyển trọng lượng sang hai bên",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 2, "phase": "intermediate",
    "precautions": ["Use parallel bars"],
    "precautions_vi": ["Dùng thanh song song"]
  },
  {
    "name": "Gait Training", "name_vi": "Tập đi",
    "description": "Walk with an aid as needed",
    "description_vi": "Tập đi với dụng cụ trợ giúp khi cần",
    "sets": 1, "reps": 1, "duration_seconds": 600, "frequency_per_day": 2, "phase": "advanced",
    "precautions": ["Use a gait belt"],
    "precautions_vi": ["Dùng đai hỗ trợ đi"]
  },
  {
    "name": "Task-Specific UE Training", "name_vi": "Tập chi trên theo nhiệm vụ",
    "description": "Reach for, grasp and release everyday objects",
    "description_vi": "Với, nắm và thả các đồ vật hằng ngày",
    "sets": 3, "reps": 10, "duration_seconds": null, "frequency_per_day": 2, "phase": "intermediate",
    "precautions": ["Never pull the weak arm"],
    "precautions_vi": ["Không kéo tay bên yếu"]
  }
]
        $json$,
        -- Progression / Tiến triển
        $json$
{
  "phase_transitions": [
    {
      "from_phase": "initial", "to_phase": "intermediate", "typical_week": 5,
      "criteria": "Sits for 2 minutes without support",
      "criteria_vi": "Ngồi 2 phút không cần hỗ trợ"
    },
    {
      "from_phase": "intermediate", "to_phase": "advanced", "typical_week": 10,
      "criteria": "Stands for 2 minutes, transfers with help of one person",
      "criteria_vi": "Đứng 2 phút, dịch chuyển với một người trợ giúp"
    }
  ],
  "discharge_criteria": "Walks 50 metres safely, FIM improved by 22 points, caregiver trained",
  "discharge_criteria_vi": "Đi 50 mét an toàn, FIM cải thiện 22 điểm, người chăm sóc được hướng dẫn"
}
        $json$
    ),
    (
        'Pediatric Development Delay', 'Chậm phát triển ở trẻ em',
        'Motor milestones through play, with training of the family',
        'Các mốc vận động thông qua vui chơi, kèm hướng dẫn gia đình',
        'pediatric', 24, 2, 45,
        ARRAY['R62.0', 'R62.50', 'F82'], ARRAY['full_body'],
        -- Goals / Mục tiêu
        $json$
[
  {
    "type": "short_term", "target_timeframe_weeks": 8,
    "description": "Hold the head up in prone",
    "description_vi": "Giữ đầu khi nằm sấp",
    "measurable_criteria": "Lifts the head to 90 degrees for 30 seconds",
    "measurable_criteria_vi": "Ngẩng đầu 90 độ trong 30 giây"
  },
  {
    "type": "short_term", "target_timeframe_weeks": 12,
    "description": "Sit with support",
    "description_vi": "Ngồi có hỗ trợ",
    "measurable_criteria": "Sits for 5 minutes with support at the hips",
    "measurable_criteria_vi": "Ngồi 5 phút khi được đỡ ở hông"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 20,
    "description": "Pull to stand",
    "description_vi": "Tự vịn đứng lên",
    "measurable_criteria": "Pulls to stand at furniture without help",
    "measurable_criteria_vi": "Tự vịn đồ đạc đứng lên"
  },
  {
    "type": "long_term", "target_timeframe_weeks": 24,
    "description": "Walk with support",
    "description_vi": "Đi có hỗ trợ",
    "measurable_criteria": "Takes ten steps with hands held",
    "measurable_criteria_vi": "Bước mười bước khi được dắt tay"
  }
]
        $json$,
        -- Exercises / Bài tập
        $json$
[
  {
    "name": "Tummy Time Activities", "name_vi": "Hoạt động nằm sấp",
    "description": "Play on the stomach with toys in front",
    "description_vi": "Chơi ở tư thế nằm sấp với đồ chơi phía trước",
    "sets": 3, "reps": 1, "duration_seconds": 300, "frequency_per_day": 4, "phase": "initial",
    "precautions": ["Only awake and watched"],
    "precautions_vi": ["Chỉ khi trẻ thức và có người trông"]
  },
  {
    "name": "Supported Sitting Play", "name_vi": "Chơi ngồi có hỗ trợ",
    "description": "Play while sitting with support at the hips",
    "description_vi": "Chơi ở tư thế ngồi khi được đỡ ở hông",
    "sets": 3, "reps": 1, "duration_seconds": 300, "frequency_per_day": 3, "phase": "initial",
    "precautions": ["Stop when the child tires"],
    "precautions_vi": ["Ngừng khi trẻ mệt"]
  },
  {
    "name": "Rolling Games", "name_vi": "Trò chơi lăn",
    "description": "Roll to both sides after a toy",
    "description_vi": "Lăn sang hai bên theo đồ chơi",
    "sets": 5, "reps": 3, "duration_seconds": null, "frequency_per_day": 2, "phase": "initial",
    "precautions": ["Use a soft, flat mat"],
    "precautions_vi": ["Dùng thảm mềm và phẳng"]
  },
  {
    "name": "Pull-to-Stand Activities", "name_vi": "Hoạt động kéo đứng",
    "description": "Pull up to standing at a stable support",
    "description_vi": "Vịn điểm tựa chắc chắn để đứng lên",
    "sets": 5, "reps": 3, "duration_seconds": null, "frequency_per_day": 3, "phase": "intermediate",
    "precautions": ["Secure the furniture"],
    "precautions_vi": ["Cố định đồ đạc"]
  },
  {
    "name": "Cruising Activities", "name_vi": "Hoạt động đi men",
    "description": "Step sideways along furniture",
    "description_vi": "Bước ngang men theo đồ đạc",
    "sets": 3, "reps": 1, "duration_seconds": 300, "frequency_per_day": 3, "phase": "intermediate",
    "precautions": ["Clear the floor"],
    "precautions_vi": ["Dọn trống sàn"]
  },
  {
    "name": "Supported Walking", "name_vi": "Đi có hỗ trợ",
    "description": "Walk with both hands held, then one",
    "description_vi": "Đi khi được dắt hai tay, sau đó một tay",
    "sets": 3, "reps": 1, "duration_seconds": 300, "frequency_per_day": 3, "phase": "advanced",
    "precautions": ["Do not lift the child by the arms"],
    "precautions_vi": ["Không nhấc trẻ bằng tay"]
  }
]
        $json$,
        -- Progression / Tiến triển
        $json$
{
  "phase_transitions": [
    {
      "from_phase": "initial", "to_phase": "intermediate", "typical_week": 8,
      "criteria": "Head control in prone, rolls to both sides",
      "criteria_vi": "Kiểm soát đầu khi nằm sấp, lăn được hai bên"
    },
    {
      "from_phase": "intermediate", "to_phase": "advanced", "typical_week": 18,
      "criteria": "Pulls to stand and cruises along furniture",
      "criteria_vi": "Tự vịn đứng lên và đi men theo đồ đạc"
    }
  ],
  "discharge_criteria": "Milestones of the goals reached, family carries on the program at home",
  "discharge_criteria_vi": "Đạt các mốc mục tiêu, gia đình tiếp tục chương trình tại nhà"
}
        $json$
    )
ON CONFLICT (clinic_id, protocol_name) DO NOTHING;
