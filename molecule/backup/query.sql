-- What the clinic entered, every column of every row.
SELECT p FROM patients AS p ORDER BY id;
SELECT i FROM insurance_info AS i ORDER BY id;
SELECT tableoid::regclass, m FROM outcome_measures AS m ORDER BY id;
