begin;
alter table wards add column beds integer not null default 0;
insert into wards (label, beds) values ('north', 12), ('south', 8);
commit;
