-- the devices of the gym
CREATE TABLE devices (id int PRIMARY KEY, kind text);
INSERT INTO devices VALUES (1, 'treadmill'), (2, 'bicycle');
