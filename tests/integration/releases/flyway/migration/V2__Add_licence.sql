alter table therapist add column licence varchar(30);
alter table therapist add constraint therapist_licence_key unique (licence);
