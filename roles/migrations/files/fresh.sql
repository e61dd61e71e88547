-- Resets the session for the next file, in the transaction of the previous file. Does what DISCARD ALL does, which
-- PostgreSQL refuses in a transaction. Plans stay: no result depends on them.
CLOSE ALL;
SET SESSION AUTHORIZATION DEFAULT;
RESET ROLE;
RESET ALL;
DEALLOCATE ALL;
UNLISTEN *;
DISCARD TEMP;
DISCARD SEQUENCES;
-- The transaction holds the lock of the migrations too (apply.sql), so no other run can take it between these two
-- statements, or if the file released the lock of the session.
SELECT pg_catalog.pg_advisory_unlock_all();
SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('migrations.history', 0));
