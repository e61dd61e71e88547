-- What the clinic entered, every column of every row.
SELECT o FROM organizations o ORDER BY id;
SELECT c FROM clinics c ORDER BY id;
SELECT p FROM patients p ORDER BY id;
SELECT i FROM insurance_info i ORDER BY id;
