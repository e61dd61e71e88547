-- The history of migrations: what was done to this database, when, by whom, from which file.
-- Sent before the first migration of a database, and where the history has an older format, in a transaction that
-- holds the lock of the migrations. Every statement may be sent again.
--
-- It stands in a schema of its own: the application's roles have no right on it. Rows are only ever added, also by
-- its owner, because an EMR has to be able to say how its tables came to be what they are. Its owner is the role that
-- Ansible logs in as, never the owner of the database, who could take the trigger away.

CREATE SCHEMA IF NOT EXISTS migrations;
REVOKE ALL ON SCHEMA migrations FROM PUBLIC;
COMMENT ON SCHEMA migrations IS 'PhysioFlow Database: history of migrations, format 4';

CREATE TABLE IF NOT EXISTS migrations.history (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    act         text        NOT NULL,
    version     text        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    sha256      text        NOT NULL,
    sha256_raw  text        NOT NULL,
    release     text        NOT NULL,
    run_id      uuid        NOT NULL,
    backup_id   text,
    reason      text,
    executed_by text        NOT NULL DEFAULT SESSION_USER,
    operator    text        NOT NULL,
    controller  text        NOT NULL,
    started_at  timestamptz NOT NULL,
    duration_ms numeric     NOT NULL,
    CONSTRAINT history_pkey PRIMARY KEY (id),
    CONSTRAINT chk_history_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$' AND sha256_raw ~ '^[0-9a-f]{64}$'),
    CONSTRAINT chk_history_duration CHECK (duration_ms >= 0),
    CONSTRAINT chk_history_reason CHECK (act <> 'accept' OR reason <> '')
);

-- Format 2: files that are applied again whenever they change have no version, and versions may be those of others.
-- Format 4: `fail` ends a file without transaction that began, failed and left nothing behind.
ALTER TABLE migrations.history
    DROP CONSTRAINT IF EXISTS chk_history_act,
    DROP CONSTRAINT IF EXISTS chk_history_version,
    ADD CONSTRAINT chk_history_act CHECK (act IN ('apply', 'start', 'rollback', 'baseline', 'accept', 'repeat', 'fail')),
    ADD CONSTRAINT chk_history_version CHECK (
        CASE act WHEN 'repeat' THEN version = 'R' ELSE version ~ '^[0-9]+([._][0-9]+)*$' END
    );

COMMENT ON TABLE migrations.history IS 'One row per act on a migration; rows are never changed or removed';
COMMENT ON COLUMN migrations.history.act IS
    'apply, rollback; start: a file without transaction began; baseline: adopted; accept: a reviewed edit; '
    'repeat: a repeatable file; fail: a file without transaction failed and left nothing behind';
COMMENT ON COLUMN migrations.history.version IS 'As the file name has it; R for a repeatable file';
COMMENT ON COLUMN migrations.history.sha256 IS 'Checksum of the file as sent: LF line ends, no byte order mark';
COMMENT ON COLUMN migrations.history.sha256_raw IS 'Checksum of the bytes on disk';
COMMENT ON COLUMN migrations.history.release IS 'Name of the release, or the checksum of its catalog';
COMMENT ON COLUMN migrations.history.run_id IS 'Equal in all rows of one run';
COMMENT ON COLUMN migrations.history.backup_id IS 'The verified backup taken before the run; null where none was';
COMMENT ON COLUMN migrations.history.operator IS 'Login name of the person on the controller';
COMMENT ON COLUMN migrations.history.controller IS 'Host name of the controller';
COMMENT ON COLUMN migrations.history.duration_ms IS 'Milliseconds of the file alone, without waiting for the lock';

CREATE INDEX IF NOT EXISTS idx_history_version ON migrations.history (version, id);

-- What stands now: the newest act of each version, unless that act took it back or never came to its end. An attempt
-- that failed and left nothing behind (start, fail) is as if it had never been.
CREATE OR REPLACE VIEW migrations.applied AS
SELECT newest.*
FROM (SELECT DISTINCT ON (version) * FROM migrations.history AS h
      WHERE act <> 'fail' AND NOT (act = 'start' AND EXISTS (
          SELECT FROM migrations.history AS f WHERE f.act = 'fail' AND f.version = h.version AND f.id > h.id))
      ORDER BY version, id DESC) AS newest
WHERE newest.act IN ('apply', 'baseline', 'accept');
COMMENT ON VIEW migrations.applied IS 'The migrations that stand in this database now, by their newest history row';

CREATE OR REPLACE FUNCTION migrations.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = 'migrations.history only grows: its rows are never changed or removed';
END
$$;
REVOKE ALL ON FUNCTION migrations.refuse_change() FROM PUBLIC;
COMMENT ON FUNCTION migrations.refuse_change() IS 'Refuses UPDATE, DELETE and TRUNCATE on the history';

CREATE OR REPLACE TRIGGER trg_history_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON migrations.history
FOR EACH STATEMENT EXECUTE FUNCTION migrations.refuse_change();

-- Format 3: the trigger fires also where session_replication_role says that the rows come from elsewhere, and a history
-- that the owner of the database came to own, by a restore without owners for instance, is taken back.
ALTER TABLE migrations.history ENABLE ALWAYS TRIGGER trg_history_append_only;
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_database AS d
        WHERE d.datname = current_database() AND d.datdba <> CURRENT_USER::regrole AND d.datdba IN (
            (SELECT relowner FROM pg_class WHERE oid = 'migrations.history'::regclass),
            (SELECT nspowner FROM pg_namespace WHERE nspname = 'migrations'))
    ) THEN
        ALTER SCHEMA migrations OWNER TO CURRENT_USER;
        ALTER TABLE migrations.history OWNER TO CURRENT_USER;
        ALTER VIEW migrations.applied OWNER TO CURRENT_USER;
        ALTER FUNCTION migrations.refuse_change() OWNER TO CURRENT_USER;
    END IF;
END
$$;
