create or replace view speaking_english as
select id, full_name from therapist where 'en' = any (languages);
