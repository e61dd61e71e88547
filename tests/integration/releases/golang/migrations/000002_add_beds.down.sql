alter table wards drop column beds;
