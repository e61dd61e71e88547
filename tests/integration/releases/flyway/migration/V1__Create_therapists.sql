create table therapist (
    id integer generated always as identity primary key,
    full_name varchar(200) not null
);
