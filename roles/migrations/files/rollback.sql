-- Finds the rows that a rollback loses. The mode `count` always ends with an error that lists them. The mode `rollback`
-- rolls one file back, and refuses a file that loses rows.
--
-- It runs the files on the real rows, reads from the catalogs and the counters of the transaction what happened to each
-- table, and rolls everything back. The SQL text alone does not show what a foreign key with ON DELETE CASCADE, a
-- function or a DO block does.
DO $physioflow$
DECLARE
    c_mode   CONSTANT text := '@mode@';
    c_owner  CONSTANT text := '@owner@';
    c_run_id CONSTANT text := '@run_id@';
    c_tried  CONSTANT text[] := ARRAY['@tried@']::text[]; -- apply.sql of each file, in order, as for a copy
    c_file   CONSTANT text[] := ARRAY['@file@']::text[];  -- apply.sql of the one that is rolled back
    c_fresh  CONSTANT text[] := ARRAY['@fresh@']::text[]; -- the statements of fresh.sql
    -- Every table by its oid: where its rows are stored, its columns, and what this session did to its rows.
    c_tables CONSTANT text := $query$
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
    $query$;
    c_path   CONSTANT text := pg_catalog.current_setting('search_path');
    c_hides  CONSTANT text := pg_catalog.current_setting('row_security');
    v_before jsonb;
    v_after  jsonb;
    v_left   jsonb := '{}'; -- rows left in tables that were truncated or rewritten
    v_loss   jsonb := '[]';
    v_text   text;
    v_part   record;
    v_rows   bigint;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF NOT current_setting('track_counts')::boolean THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'track_counts is off, so changed rows cannot be counted; switch it on';
    END IF;
    -- Held to the end: fresh.sql releases the lock of the session for a moment.
    PERFORM pg_advisory_xact_lock(hashtextextended('migrations.history', 0));
    EXECUTE c_tables INTO v_before;
    BEGIN
        PERFORM pg_catalog.set_config('search_path', c_path, true);
        FOREACH v_text IN ARRAY c_tried LOOP
            EXECUTE v_text;
            FOREACH v_text IN ARRAY c_fresh LOOP
                EXECUTE v_text;
            END LOOP;
        END LOOP;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        EXECUTE c_tables INTO v_after;
        PERFORM set_config('role', c_owner, true);
        FOR v_part IN
            SELECT key, after.value ->> 'name' AS name, EXISTS (
                SELECT FROM pg_policy WHERE polrelid = key::oid AND polname = 'physioflow_owner') AS guarded
            FROM jsonb_each(v_before) AS before JOIN jsonb_each(v_after) AS after USING (key)
            WHERE after.value -> 'storage' <> before.value -> 'storage'
        LOOP
            -- With row_security off, hidden rows are an error instead of a smaller number. The policy that the role
            -- `database` creates shows the owner all rows, but would be an error too, so it needs row_security on.
            PERFORM set_config('row_security', CASE WHEN v_part.guarded THEN 'on' ELSE 'off' END, true);
            EXECUTE format('SELECT count(*) FROM ONLY %s', v_part.name) INTO v_rows;
            v_left := v_left || jsonb_build_object(v_part.key, v_rows);
        END LOOP;
        RAISE EXCEPTION USING ERRCODE = 'PF001'; -- rolls all of it back; variables keep their values
    EXCEPTION WHEN SQLSTATE 'PF001' THEN NULL;
    END;

    PERFORM set_config('role', c_owner, true);
    FOR v_part IN
        WITH pair AS (
            SELECT key::oid AS id, before.value ->> 'name' AS name, before.value ->> 'root' AS root,
                   before.value AS was, after.value AS now, (v_left ->> key)::bigint AS rows_left
            FROM jsonb_each(v_before) AS before LEFT JOIN jsonb_each(v_after) AS after USING (key)
        ), part (id, name, root, what, condition, number) AS (
            SELECT id, name, root, 'the table is dropped', 'true', 0::bigint FROM pair WHERE now IS NULL
            UNION ALL
            SELECT id, name, root, 'rows are deleted',
                   CASE WHEN rows_left IS NOT NULL THEN 'true' END,
                   CASE WHEN rows_left IS NULL THEN (now ->> 'deleted')::bigint - (was ->> 'deleted')::bigint
                        ELSE (now ->> 'inserted')::bigint - (was ->> 'inserted')::bigint - rows_left END
            FROM pair WHERE now IS NOT NULL
            UNION ALL
            SELECT id, name, root, 'rows are changed', NULL, (now ->> 'updated')::bigint - (was ->> 'updated')::bigint
            FROM pair WHERE now IS NOT NULL
            UNION ALL
            SELECT id, pair.name, root, 'values of ' || string_agg(gone.name, ', ' ORDER BY gone.number) || ' are lost',
                   string_agg(format('(%1$I IS NOT NULL AND %1$I::text IS DISTINCT FROM (%2$s)::text)',
                                     gone.name, coalesce(gone.standard, 'NULL')), ' OR ' ORDER BY gone.number), 0
            FROM pair, LATERAL (
                SELECT key::integer, old.value ->> 'name', old.value ->> 'default'
                FROM jsonb_each(was -> 'columns') AS old LEFT JOIN jsonb_each(now -> 'columns') AS new USING (key)
                WHERE NOT (old.value -> 'computed')::boolean
                  AND new.value ->> 'type' IS DISTINCT FROM old.value ->> 'type'
            ) AS gone (number, name, standard)
            WHERE now IS NOT NULL
            GROUP BY id, pair.name, root
        )
        SELECT part.*, EXISTS (
            SELECT FROM pg_policy WHERE polrelid = id AND polname = 'physioflow_owner') AS guarded
        FROM part ORDER BY name
    LOOP
        v_rows := 0;
        IF v_part.condition IS NOT NULL THEN
            IF c_mode = 'rollback' THEN -- no session can add a row to it until the transaction ends
                EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', v_part.name);
            END IF;
            PERFORM set_config('row_security', CASE WHEN v_part.guarded THEN 'on' ELSE 'off' END, true);
            EXECUTE format('SELECT count(*) FROM ONLY %s WHERE %s', v_part.name, v_part.condition) INTO v_rows;
        END IF;
        v_loss := v_loss || jsonb_build_object('table', v_part.root, 'what', v_part.what,
                                               'rows', v_rows + v_part.number);
    END LOOP;
    PERFORM set_config('role', 'none', true);
    SELECT coalesce(jsonb_agg(jsonb_build_object('table', name, 'rows', rows, 'what', what) ORDER BY name, what), '[]')
    INTO v_loss
    FROM (SELECT e ->> 'table' AS name, e ->> 'what' AS what, sum((e ->> 'rows')::bigint) AS rows
          FROM jsonb_array_elements(v_loss) AS e GROUP BY 1, 2) AS by_root
    WHERE rows > 0;

    -- Rows written since the count are counted while the file runs.
    IF c_mode = 'rollback' AND v_loss = '[]' THEN
        EXECUTE c_tables INTO v_before;
        PERFORM set_config('row_security', c_hides, true);
        PERFORM set_config('search_path', c_path, true);
        EXECUTE c_file[1];
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        EXECUTE c_tables INTO v_after;
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'table', after.value ->> 'root', 'what', 'rows are deleted or changed',
            'rows', (after.value ->> 'deleted')::bigint - (before.value ->> 'deleted')::bigint
                  + (after.value ->> 'updated')::bigint - (before.value ->> 'updated')::bigint)), '[]')
        INTO v_loss
        FROM jsonb_each(v_before) AS before JOIN jsonb_each(v_after) AS after USING (key)
        WHERE after.value -> 'deleted' <> before.value -> 'deleted'
           OR after.value -> 'updated' <> before.value -> 'updated';
    END IF;
    IF c_mode = 'count' OR v_loss <> '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'PF002', MESSAGE = format('migration-loss %s %s', c_run_id, v_loss);
    END IF;
END
$physioflow$;
