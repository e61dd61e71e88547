-- Rollback: 050_correct_outcome_measures
-- Description: Brings the old MCID of QuickDASH and the old words of DASH back
-- Lost: nothing. Only rows that still hold the new value.

UPDATE outcome_measures_library
SET mcid_threshold = 8.0, mcid_source = NULL
WHERE measure_type = 'QuickDASH' AND mcid_threshold = 15.91
  AND mcid_source = 'Franchignoni et al. 2014, J Orthop Sports Phys Ther 44(1)';

UPDATE outcome_measures_library
SET measure_type_vi = 'Chỉ số khuyết tật tay-vai-cẳng tay'
WHERE measure_type = 'DASH' AND measure_type_vi = 'Chỉ số khuyết tật cánh tay, vai và bàn tay';

UPDATE outcome_measures_library
SET description_vi = 'Chỉ số khuyết tật tay-vai-cẳng tay: triệu chứng và chức năng chi trên, gồm ba mươi mục'
WHERE measure_type = 'DASH'
  AND description_vi = 'Chỉ số khuyết tật cánh tay, vai và bàn tay: triệu chứng và chức năng chi trên, gồm ba mươi mục';
