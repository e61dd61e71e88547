-- Gives the next file a session like a new one, in the transaction of the file before: what DISCARD ALL does, which
-- PostgreSQL refuses among other statements. Plans are left: no result depends on them.
CLOSE ALL;
SET SESSION AUTHORIZATION DEFAULT;
RESET ROLE;
RESET ALL;
DEALLOCATE ALL;
UNLISTEN *;
DISCARD TEMP;
DISCARD SEQUENCES;
-- The transaction holds the lock of the migrations as well (apply.sql), so nobody gets in between these two, nor where
-- the file gave the lock of the session away.
SELECT pg_catalog.pg_advisory_unlock_all();
SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('migrations.history', 0));
