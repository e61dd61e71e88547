drop table therapist;
