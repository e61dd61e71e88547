-- Adds the history row of one act. The duration of a file without transaction is the time since its row `start`.
DO $physioflow$
DECLARE
    c_act       CONSTANT text := '@act@';
    c_run       CONSTANT jsonb := '@run@';
    c_migration CONSTANT jsonb := '@migration@';
    v_stands    boolean;
    v_started   timestamptz;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    v_stands := EXISTS (SELECT FROM migrations.applied WHERE version = c_migration ->> 'version');
    IF c_act = 'start' AND v_stands THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'another run has applied it since this run was planned';
    -- baseline: adopts what was applied by hand. accept: the content of an applied file that was edited and reviewed.
    ELSIF c_act IN ('baseline', 'accept') AND v_stands <> (c_act = 'accept') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'another run changed the applied migrations since this run was planned';
    END IF;
    v_started := coalesce(
        nullif(current_setting('physioflow.started', true), '')::timestamptz,
        (SELECT max(started_at) FROM migrations.history
         WHERE c_act = 'apply' AND act = 'start' AND version = c_migration ->> 'version'
           AND run_id = (c_run ->> 'run_id')::uuid),
        clock_timestamp());
    INSERT INTO migrations.history (act, version, name, description, sha256, sha256_raw,
                                    release, run_id, backup_id, reason, operator, controller,
                                    started_at, duration_ms)
    VALUES (c_act, c_migration ->> 'version', c_migration ->> 'name', c_migration ->> 'description',
            c_migration ->> 'sha256', c_migration ->> 'sha256_raw',
            c_run ->> 'release', (c_run ->> 'run_id')::uuid, c_run ->> 'backup_id', c_run ->> 'reason',
            c_run ->> 'operator', c_run ->> 'controller', v_started,
            round(extract(epoch FROM clock_timestamp() - v_started) * 1000, 1));
END
$physioflow$;
