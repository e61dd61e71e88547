alter table therapist add column languages text[] not null default '{vi}';
insert into therapist (full_name, languages) values ('Trần Thị Mai', '{vi,en}');
