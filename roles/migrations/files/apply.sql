-- Runs the statements of one file as the owner of the database, in the caller's transaction. record.sql follows it.
--
-- It is a DO block, so the engine is always that of the running release, leaves nothing in the database, and cannot be
-- dropped by a file. A failure is raised again with its SQLSTATE and its place, but without DETAIL, which would show
-- rows.
DO $physioflow$
DECLARE
    c_run        CONSTANT jsonb := '@run@';       -- act, release, run_id, backup_id, reason, operator, controller, copy
    c_migration  CONSTANT jsonb := '@migration@'; -- version, name, description, file, sha256, sha256_raw
    c_lines      CONSTANT integer[] := '@lines@';
    c_needs      CONSTANT jsonb := '@needs@';     -- the locks of each statement, to find its blockers
    c_roles      CONSTANT jsonb := '@roles@';     -- roles of each that a copy may lack; such statements are skipped
    c_statements CONSTANT text[] := ARRAY['@statements@']::text[];
    c_path       CONSTANT text := pg_catalog.current_setting('search_path');
    v_started    timestamptz;
    v_xid        xid8;
    v_number     integer := 0;
    v_statement  text;
    v_lacks_role boolean[];
    v_outside    text;
    v_state      text;
    v_message    text;
    v_hint       text;
BEGIN
    -- The session may belong to a superuser. Except in the file itself, no object of the database owner must be used
    -- instead of the server's own.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF NOT pg_try_advisory_xact_lock(hashtextextended('migrations.history', 0)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'lock_not_available', MESSAGE = 'another run holds the lock of the migrations';
    END IF;
    IF c_run ->> 'act' <> 'rollback' THEN
        IF EXISTS (SELECT FROM migrations.applied WHERE version = c_migration ->> 'version') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = 'another run has applied it since this run was planned';
        END IF;
    ELSIF ARRAY(SELECT version FROM migrations.applied ORDER BY version) IS DISTINCT FROM ARRAY(
        SELECT planned.version
        FROM jsonb_array_elements_text(c_run -> 'applied_versions') AS planned (version)
        WHERE NOT EXISTS (SELECT FROM migrations.history AS h
                          WHERE h.version = planned.version AND h.act = 'rollback'
                            AND h.run_id = (c_run ->> 'run_id')::uuid)
        ORDER BY planned.version) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'another run changed the applied migrations since this run was planned';
    END IF;

    v_lacks_role := ARRAY(
        SELECT EXISTS (SELECT FROM jsonb_array_elements_text(roles) AS r (name)
                       WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name))
        FROM jsonb_array_elements(c_roles) WITH ORDINALITY AS statement (roles, number) ORDER BY number);
    v_started := clock_timestamp();
    v_xid := pg_current_xact_id();
    -- Visible in pg_stat_activity while the file runs.
    PERFORM set_config('application_name', '@application@', true);
    BEGIN
        PERFORM set_config('role', '@owner@', true);
        PERFORM set_config('search_path', c_path, true);
        FOREACH v_statement IN ARRAY c_statements LOOP
            v_number := v_number OPERATOR(pg_catalog.+) 1;
            CONTINUE WHEN v_lacks_role[v_number];
            EXECUTE v_statement;
        END LOOP;
        SET CONSTRAINTS ALL IMMEDIATE; -- a deferred constraint fails here, where its file is known
        PERFORM pg_catalog.set_config('role', 'none', true);
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

        IF pg_current_xact_id() IS DISTINCT FROM v_xid THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_transaction_termination', MESSAGE = 'the file ended its transaction';
        END IF;
        -- In a copy of the database, nothing may change what all databases of the server share. A statement that writes
        -- to a shared catalog keeps its lock until the end of the transaction; GRANT does not, but its row is new.
        IF (c_run ->> 'copy')::boolean THEN
            SELECT string_agg(DISTINCT relation, ', ') INTO v_outside
            FROM (
                SELECT relation::regclass::text FROM pg_locks
                WHERE pid = pg_backend_pid() AND locktype = 'relation' AND database = 0 AND mode = 'RowExclusiveLock'
                  AND relation <> 'pg_shdepend'::regclass
                UNION ALL
                SELECT fresh.tableoid::regclass::text
                FROM (SELECT tableoid, xmin FROM pg_database UNION ALL SELECT tableoid, xmin FROM pg_tablespace
                      UNION ALL SELECT tableoid, xmin FROM pg_parameter_acl) AS fresh (tableoid, xid)
                WHERE age(fresh.xid) <= 0
                  AND pg_xact_status((v_xid::text::bigint - age(fresh.xid))::text::xid8) = 'in progress'
            ) AS written (relation);
            IF v_outside IS NOT NULL THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'PF003',
                    MESSAGE = format('the file changes %s, which all databases of the server share, and this is a copy',
                                     v_outside);
            END IF;
        END IF;
    EXCEPTION
        WHEN OTHERS OR query_canceled OR assert_failure THEN
            GET STACKED DIAGNOSTICS
                v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_hint = PG_EXCEPTION_HINT;
            v_number := greatest(v_number, 1);
            RAISE EXCEPTION USING
                ERRCODE = v_state,
                MESSAGE = format('migration-failure %s %s', c_run ->> 'run_id', jsonb_build_object(
                    'file', c_migration ->> 'file', 'line', coalesce(c_lines[v_number], 1),
                    'sqlstate', v_state, 'message', v_message, 'hint', v_hint, 'needs', c_needs -> (v_number - 1)));
    END;
    PERFORM set_config('physioflow.started', v_started::text, true); -- for record.sql
END
$physioflow$;
