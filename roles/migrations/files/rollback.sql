-- The functions of a rollback, sent after those of session.sql and living in pg_temp like them.
--
-- What a rollback loses is found by doing it: the very files run on the very rows, the catalogs and the counters of the
-- transaction say what became of each table, and everything is taken back. Reading the SQL could not know what a
-- foreign key with ON DELETE CASCADE, a function or a DO block does.

-- Refuses to go on where another run changed what stands since this one was planned.
CREATE FUNCTION pg_temp.migrations_refuse_other(p_run jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF ARRAY(SELECT version FROM migrations.applied ORDER BY version) IS DISTINCT FROM ARRAY(
        SELECT planned.version
        FROM jsonb_array_elements_text(p_run -> 'standing') AS planned (version)
        WHERE NOT EXISTS (SELECT FROM migrations.history AS h
                          WHERE h.version = planned.version AND h.act = 'rollback'
                            AND h.run_id = (p_run ->> 'run_id')::uuid)
        ORDER BY planned.version) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'another run changed what stands since this run was planned';
    END IF;
END
$function$;

-- Every table that holds rows, by its oid: where they are stored, its columns, and what this session did to its rows.
CREATE FUNCTION pg_temp.migrations_tables() RETURNS jsonb
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(jsonb_object_agg(c.oid, jsonb_build_object(
        'name', c.oid::regclass,
        'root', coalesce(pg_partition_root(c.oid), c.oid)::regclass,
        'storage', c.relfilenode,
        'inserted', pg_stat_get_xact_tuples_inserted(c.oid),
        'updated', pg_stat_get_xact_tuples_updated(c.oid),
        'deleted', pg_stat_get_xact_tuples_deleted(c.oid),
        'columns', (
            SELECT jsonb_object_agg(a.attnum, jsonb_build_object(
                'name', a.attname,
                'type', format_type(a.atttypid, a.atttypmod),
                'computed', a.attgenerated <> '',
                'default', pg_get_expr(d.adbin, d.adrelid)))
            FROM pg_attribute AS a
            LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        )
    )), '{}')
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'migrations')
$function$;

-- Counts rows of a table, all or those of a condition; with p_lock nobody can add one until the transaction ends.
CREATE FUNCTION pg_temp.migrations_rows(p_table text, p_condition text, p_lock boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET row_security = off -- a policy that hides rows is an error, not a smaller number
AS $function$
DECLARE
    v_rows bigint;
BEGIN
    -- The policy that the role `database` makes for the owner shows it all rows; under off even that is an error.
    IF EXISTS (SELECT FROM pg_policy WHERE polrelid = p_table::regclass AND polname = 'physioflow_owner') THEN
        PERFORM set_config('row_security', 'on', true);
    END IF;
    IF p_lock THEN
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', p_table);
    END IF;
    EXECUTE format('SELECT count(*) FROM ONLY %s WHERE %s', p_table, p_condition) INTO v_rows;
    RETURN v_rows;
END
$function$;

-- Returns what the steps lose, [{table, rows, what}], and leaves everything as it was.
CREATE FUNCTION pg_temp.migrations_loss(p_owner text, p_steps jsonb, p_run jsonb, p_lock boolean) RETURNS jsonb
LANGUAGE plpgsql
AS $function$
DECLARE
    v_before jsonb := pg_temp.migrations_tables();
    v_after  jsonb;
    v_left   jsonb; -- rows left in tables that were emptied or written anew
    v_step   jsonb;
    v_table  record;
    v_column record;
    v_gone   text[];
    v_where  text[];
    v_loss   jsonb := '[]';
BEGIN
    IF NOT current_setting('track_counts')::boolean THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'track_counts is off, so that changed rows cannot be counted; switch it on';
    END IF;
    BEGIN
        FOR v_step IN SELECT value FROM jsonb_array_elements(p_steps) WITH ORDINALITY ORDER BY ordinality LOOP
            PERFORM pg_temp.migrations_apply(
                p_owner, v_step -> 'migration', p_run,
                ARRAY(SELECT value::integer FROM jsonb_array_elements_text(v_step -> 'lines') WITH ORDINALITY
                      ORDER BY ordinality),
                ARRAY(SELECT value FROM jsonb_array_elements_text(v_step -> 'statements') WITH ORDINALITY
                      ORDER BY ordinality));
        END LOOP;
        v_after := pg_temp.migrations_tables();
        PERFORM set_config('role', p_owner, true);
        SELECT jsonb_object_agg(key, pg_temp.migrations_rows(after.value ->> 'name', 'true', false)) INTO v_left
        FROM jsonb_each(v_before) AS before JOIN jsonb_each(v_after) AS after USING (key)
        WHERE after.value -> 'storage' <> before.value -> 'storage';
        RAISE EXCEPTION USING ERRCODE = 'PF001'; -- takes back all of it; variables keep what they hold
    EXCEPTION WHEN SQLSTATE 'PF001' THEN NULL;
    END;

    PERFORM set_config('role', p_owner, true);
    FOR v_table IN
        SELECT before.value ->> 'name' AS name, before.value ->> 'root' AS root,
               before.value AS was, after.value AS now, (v_left ->> key)::bigint AS rows_left
        FROM jsonb_each(v_before) AS before LEFT JOIN jsonb_each(v_after) AS after USING (key)
        ORDER BY before.value ->> 'name'
    LOOP
        IF v_table.now IS NULL THEN
            v_loss := v_loss || jsonb_build_object('table', v_table.root, 'what', 'the table is dropped',
                'rows', pg_temp.migrations_rows(v_table.name, 'true', p_lock));
            CONTINUE;
        END IF;
        v_loss := v_loss || jsonb_build_object('table', v_table.root, 'what', 'rows are deleted', 'rows',
            CASE
                WHEN v_table.rows_left IS NULL
                THEN (v_table.now ->> 'deleted')::bigint - (v_table.was ->> 'deleted')::bigint
                ELSE pg_temp.migrations_rows(v_table.name, 'true', p_lock) - v_table.rows_left
                     + (v_table.now ->> 'inserted')::bigint - (v_table.was ->> 'inserted')::bigint
            END);
        v_loss := v_loss || jsonb_build_object('table', v_table.root, 'what', 'rows are changed', 'rows',
            (v_table.now ->> 'updated')::bigint - (v_table.was ->> 'updated')::bigint);
        v_gone := '{}';
        v_where := '{}';
        FOR v_column IN
            SELECT was.value ->> 'name' AS name, was.value ->> 'default' AS standard
            FROM jsonb_each(v_table.was -> 'columns') AS was
            LEFT JOIN jsonb_each(v_table.now -> 'columns') AS now USING (key)
            WHERE NOT (was.value -> 'computed')::boolean
              AND now.value ->> 'type' IS DISTINCT FROM was.value ->> 'type'
            ORDER BY key::integer
        LOOP
            v_gone := v_gone || v_column.name;
            v_where := v_where || format('(%1$I IS NOT NULL AND %1$I::text IS DISTINCT FROM (%2$s)::text)',
                v_column.name, coalesce(v_column.standard, 'NULL'));
        END LOOP;
        IF v_gone <> '{}' THEN
            v_loss := v_loss || jsonb_build_object('table', v_table.root,
                'what', 'values of ' || array_to_string(v_gone, ', ') || ' go',
                'rows', pg_temp.migrations_rows(v_table.name, array_to_string(v_where, ' OR '), p_lock));
        END IF;
    END LOOP;
    PERFORM set_config('role', 'none', true);

    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_object('table', name, 'rows', rows, 'what', what) ORDER BY name, what), '[]')
        FROM (SELECT e ->> 'table' AS name, e ->> 'what' AS what, sum((e ->> 'rows')::bigint) AS rows
              FROM jsonb_array_elements(v_loss) AS e GROUP BY 1, 2) AS by_root
        WHERE rows > 0
    );
END
$function$;

-- Says what all steps of a run together would lose. It always ends with an error, so that nothing of it can stay.
CREATE FUNCTION pg_temp.migrations_count_loss(p_owner text, p_steps jsonb, p_run jsonb) RETURNS void
LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'PF002',
        MESSAGE = format('migration-loss %s %s', p_run ->> 'run_id',
                         pg_temp.migrations_loss(p_owner, p_steps, p_run, false));
END
$function$;

-- Rolls back one migration that loses nothing, also of what was written since the rows were counted: the tables that
-- go are locked before they are counted again, and rows that a statement meets are counted as it runs.
CREATE FUNCTION pg_temp.migrations_rollback(p_owner text, p_step jsonb, p_run jsonb) RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    v_steps  CONSTANT jsonb := jsonb_build_array(p_step);
    v_loss   jsonb := pg_temp.migrations_loss(p_owner, v_steps, p_run, true);
    v_before jsonb := pg_temp.migrations_tables();
BEGIN
    IF v_loss = '[]' THEN
        PERFORM pg_temp.migrations_apply(
            p_owner, p_step -> 'migration', p_run,
            ARRAY(SELECT value::integer FROM jsonb_array_elements_text(p_step -> 'lines') WITH ORDINALITY
                  ORDER BY ordinality),
            ARRAY(SELECT value FROM jsonb_array_elements_text(p_step -> 'statements') WITH ORDINALITY
                  ORDER BY ordinality));
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'table', after.value ->> 'root', 'what', 'rows are deleted or changed',
            'rows', (after.value ->> 'deleted')::bigint - (before.value ->> 'deleted')::bigint
                  + (after.value ->> 'updated')::bigint - (before.value ->> 'updated')::bigint)), '[]')
        INTO v_loss
        FROM jsonb_each(v_before) AS before JOIN jsonb_each(pg_temp.migrations_tables()) AS after USING (key)
        WHERE after.value -> 'deleted' <> before.value -> 'deleted'
           OR after.value -> 'updated' <> before.value -> 'updated';
    END IF;
    IF v_loss <> '[]' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'PF002',
            MESSAGE = format('migration-loss %s %s', p_run ->> 'run_id', v_loss);
    END IF;
END
$function$;
