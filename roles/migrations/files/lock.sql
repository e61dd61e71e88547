-- Takes the lock of the migrations for the session: the first statement of every run.
-- `'@name@'` stands for a literal that plugins/module_utils/migrations/script.py fills in, here and in the files beside it.
--
-- It polls and never waits in PostgreSQL's lock queue: a waiting statement holds a snapshot, and CREATE INDEX
-- CONCURRENTLY of the holder would wait for it. The DO block holds a snapshot too, so a long wait must happen between
-- statements, as in the module migration_plan.
DO $physioflow$
DECLARE
    c_key      CONSTANT bigint := pg_catalog.hashtextextended('migrations.history', 0);
    v_deadline timestamptz;
    v_holder   record;
BEGIN
    -- The session may belong to a superuser: no object of the database owner must be used instead of the server's own.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    v_deadline := clock_timestamp() + '@wait@'::interval;
    WHILE NOT pg_try_advisory_lock(c_key) LOOP
        IF clock_timestamp() > v_deadline THEN
            SELECT a.pid, a.usename, a.application_name, a.client_addr, a.backend_start INTO v_holder
            FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (l.classid::bigint << 32 | l.objid::bigint) = c_key;
            RAISE EXCEPTION USING
                ERRCODE = 'lock_not_available',
                MESSAGE = format(
                    'another run holds the lock of the migrations: pid %s, user %s, application %s, from %s, since %s',
                    v_holder.pid, v_holder.usename, v_holder.application_name,
                    coalesce(v_holder.client_addr::text, 'this host'), v_holder.backend_start);
        END IF;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$physioflow$;
