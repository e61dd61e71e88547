-- migrate:up
CREATE TABLE ponds (id int PRIMARY KEY);
INSERT INTO ponds VALUES (1);

-- migrate:down
DROP TABLE ponds;
