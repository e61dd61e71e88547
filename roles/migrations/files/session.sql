-- The functions of one run. They live in pg_temp, so that the engine is always the one of the release that runs and
-- nothing of it stays in the database. Those that run no file see nothing but the server's own functions: the session
-- may be a superuser's, and what the owner of the database made in schema public is not to be taken for one of these.

-- Waits for the lock of the migrations without ever waiting inside PostgreSQL's lock queue: a statement that waits
-- there holds a snapshot, and CREATE INDEX CONCURRENTLY of the holder would wait for it in turn.
-- The function itself is a statement with a snapshot: whoever has to wait long does so between statements, as the
-- module migration_plan does. The lock ends with the transaction, or with the session where it is for all of it, also
-- when the client is killed.
CREATE FUNCTION pg_temp.migrations_lock(p_wait interval, p_session boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_key      CONSTANT bigint := hashtextextended('migrations.history', 0);
    v_deadline CONSTANT timestamptz := clock_timestamp() + p_wait;
    v_holder   record;
BEGIN
    WHILE NOT CASE WHEN p_session THEN pg_try_advisory_lock(c_key) ELSE pg_try_advisory_xact_lock(c_key) END LOOP
        IF clock_timestamp() > v_deadline THEN
            SELECT a.pid, a.usename, a.application_name, a.client_addr, a.backend_start INTO v_holder
            FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (l.classid::bigint << 32 | l.objid::bigint) = c_key;
            RAISE EXCEPTION USING
                ERRCODE = 'lock_not_available',
                MESSAGE = format(
                    'another run holds the lock of the migrations since %s: pid %s, user %s, application %s, from %s',
                    v_holder.backend_start, v_holder.pid, v_holder.usename, v_holder.application_name,
                    coalesce(v_holder.client_addr::text, 'this host'));
        END IF;
        PERFORM pg_sleep(0.1);
    END LOOP;
    -- Proved again when the history row is written: lock, file and row are one transaction.
    PERFORM set_config('physioflow.transaction', pg_current_xact_id()::text, true);
END
$function$;

-- Refuses a file that another run applied after this one was planned, or left in doubt.
CREATE FUNCTION pg_temp.migrations_refuse_applied(p_version text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF EXISTS (SELECT FROM migrations.applied WHERE version = p_version) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'another run has applied it since this run was planned';
    END IF;
END
$function$;

-- Adds the history row of an act. A file without transaction took as long as the time since its row `start`.
CREATE FUNCTION pg_temp.migrations_record(
    p_act       text,
    p_migration jsonb,   -- version, name, description, file, sha256, sha256_raw
    p_run       jsonb,   -- act, release, run_id, backup_id, reason, operator, controller
    p_started   timestamptz DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_started timestamptz := p_started;
BEGIN
    IF p_act = 'start' THEN
        PERFORM pg_temp.migrations_refuse_applied(p_migration ->> 'version');
        v_started := clock_timestamp();
    ELSIF v_started IS NULL THEN
        SELECT max(started_at) INTO STRICT v_started
        FROM migrations.history
        WHERE act = 'start' AND version = p_migration ->> 'version' AND run_id = (p_run ->> 'run_id')::uuid;
    END IF;
    INSERT INTO migrations.history (act, version, name, description, sha256, sha256_raw,
                                    release, run_id, backup_id, reason, operator, controller,
                                    started_at, duration_ms)
    VALUES (p_act, p_migration ->> 'version', p_migration ->> 'name', p_migration ->> 'description',
            p_migration ->> 'sha256', p_migration ->> 'sha256_raw',
            p_run ->> 'release', (p_run ->> 'run_id')::uuid, p_run ->> 'backup_id', p_run ->> 'reason',
            p_run ->> 'operator', p_run ->> 'controller', v_started,
            round(extract(epoch FROM clock_timestamp() - v_started) * 1000, 1));
END
$function$;

-- The name that the session carries while it is at a file.
CREATE FUNCTION pg_temp.migrations_application(p_migration jsonb) RETURNS text
LANGUAGE sql
RETURN left('physioflow ' || regexp_replace(p_migration ->> 'file', '^.*/|[.]sql$', '', 'g'), 63);

-- Runs the statements of one file as p_owner and adds its history row, all in the caller's transaction.
-- Any failure is raised anew with its SQLSTATE and its place, and without DETAIL, which would show rows.
CREATE FUNCTION pg_temp.migrations_apply(
    p_owner      text,
    p_migration  jsonb,
    p_run        jsonb,
    p_lines      integer[],
    p_statements text[],
    p_needs      jsonb DEFAULT '[]' -- the locks of each statement, to find out whom it waited for
) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    v_started   CONSTANT timestamptz := clock_timestamp();
    v_line      integer := 1;
    v_current   integer := 0;
    v_state     text;
    v_message   text;
    v_hint      text;
BEGIN
    IF p_run ->> 'act' = 'rollback' THEN
        PERFORM pg_temp.migrations_refuse_other(p_run); -- of rollback.sql
    ELSE
        PERFORM pg_temp.migrations_refuse_applied(p_migration ->> 'version');
    END IF;

    -- Seen by everybody in pg_stat_activity while the file runs.
    PERFORM set_config('application_name', pg_temp.migrations_application(p_migration), true);
    PERFORM set_config('role', p_owner, true);
    FOR v_statement IN 1 .. cardinality(p_statements) LOOP
        v_current := v_statement;
        v_line := p_lines[v_statement];
        EXECUTE p_statements[v_statement];
    END LOOP;
    SET CONSTRAINTS ALL IMMEDIATE; -- a deferred constraint fails here, where its file is known
    PERFORM set_config('role', 'none', true);

    IF pg_current_xact_id()::text IS DISTINCT FROM current_setting('physioflow.transaction', true) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_transaction_termination',
            MESSAGE = 'the transaction changed while the file ran';
    END IF;

    PERFORM pg_temp.migrations_record(
        CASE WHEN p_migration ->> 'version' = 'R' THEN 'repeat' ELSE p_run ->> 'act' END,
        p_migration, p_run, v_started);
EXCEPTION
    WHEN OTHERS OR query_canceled OR assert_failure THEN
        GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_hint = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING
            ERRCODE = v_state,
            MESSAGE = format('migration-failure %s %s', p_run ->> 'run_id', jsonb_build_object(
                'file', p_migration ->> 'file', 'line', v_line,
                'sqlstate', v_state, 'message', v_message, 'hint', v_hint,
                'needs', p_needs -> (v_current - 1)));
END
$function$;
