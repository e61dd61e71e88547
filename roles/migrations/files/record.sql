-- Records decisions about files without running them, sent after the functions of session.sql.

-- baseline: adopts what was applied by hand. accept: the content of an applied file that was edited and reviewed.
CREATE FUNCTION pg_temp.migrations_decide(p_migration jsonb, p_run jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF EXISTS (SELECT FROM migrations.applied WHERE version = p_migration ->> 'version') <> (p_run ->> 'act' = 'accept') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'another run changed what stands since this run was planned';
    END IF;
    PERFORM pg_temp.migrations_record(p_run ->> 'act', p_migration, p_run, clock_timestamp());
END
$function$;
