-- Migration: 050_correct_outcome_measures
-- Description: Corrects the MCID of QuickDASH and the Vietnamese words of DASH
-- Depends on: 011, 049
-- QuickDASH: 8 lies below the MCID of DASH, of which it is the short form, and within the measurement error.
-- DASH: cẳng tay is the forearm; the measure is about arm, shoulder and hand.
-- Only rows that still hold the old value. Scores keep the MCID that applied on their day.

UPDATE outcome_measures_library
SET mcid_threshold = 15.91, mcid_source = 'Franchignoni et al. 2014, J Orthop Sports Phys Ther 44(1)'
WHERE measure_type = 'QuickDASH' AND mcid_threshold = 8.0 AND mcid_source IS NULL;

UPDATE outcome_measures_library
SET measure_type_vi = 'Chỉ số khuyết tật cánh tay, vai và bàn tay'
WHERE measure_type = 'DASH' AND measure_type_vi = 'Chỉ số khuyết tật tay-vai-cẳng tay';

UPDATE outcome_measures_library
SET description_vi = 'Chỉ số khuyết tật cánh tay, vai và bàn tay: triệu chứng và chức năng chi trên, gồm ba mươi mục'
WHERE measure_type = 'DASH'
  AND description_vi = 'Chỉ số khuyết tật tay-vai-cẳng tay: triệu chứng và chức năng chi trên, gồm ba mươi mục';
