-- What the clinic entered, every column of every row, without those that later migrations add.
SELECT o FROM organizations o ORDER BY id;
SELECT c FROM clinics c ORDER BY id;
SELECT p FROM patients p ORDER BY id;
SELECT to_jsonb(i) - 'bhxh_number' FROM insurance_info i ORDER BY id;
