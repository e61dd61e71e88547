-- The history of migrations: what was done to this database, when, by whom, from which file.
-- Sent before the first migration of a database, and where the history has an older format, in a transaction that
-- holds the lock of the migrations. Every statement may be sent again.
--
-- It has its own schema, on which the application's roles have no privilege. Rows are only added, even by the owner,
-- because an EMR must be able to show how its tables were created. Its owner is the role that Ansible logs in as, never
-- the owner of the database, who could drop the trigger.

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

-- Format 2: repeatable files have no version; versions of other tools are allowed.
-- Format 4: `fail` ends a file without transaction that started, failed and left no changes.
ALTER TABLE migrations.history
    DROP CONSTRAINT IF EXISTS chk_history_act,
    DROP CONSTRAINT IF EXISTS chk_history_version,
    ADD CONSTRAINT chk_history_act CHECK (act IN ('apply', 'start', 'rollback', 'baseline', 'accept', 'repeat', 'fail')),
    ADD CONSTRAINT chk_history_version CHECK (
        CASE act WHEN 'repeat' THEN version = 'R' ELSE version ~ '^[0-9]+([._][0-9]+)*$' END
    );

COMMENT ON TABLE migrations.history IS 'One row per act on a migration; rows are never changed or removed';
COMMENT ON COLUMN migrations.history.act IS
    'apply, rollback; start: a file without transaction started; baseline: adopted; accept: a reviewed edit; '
    'repeat: a repeatable file; fail: a file without transaction failed and left no changes';
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

-- The applied migrations: the newest act of each version, unless that act rolled it back or did not finish. An attempt
-- that failed and left no changes (start, fail) does not count.
CREATE OR REPLACE VIEW migrations.applied AS
SELECT newest.*
FROM (SELECT DISTINCT ON (version) * FROM migrations.history AS h
      WHERE act <> 'fail' AND NOT (act = 'start' AND EXISTS (
          SELECT FROM migrations.history AS f WHERE f.act = 'fail' AND f.version = h.version AND f.id > h.id))
      ORDER BY version, id DESC) AS newest
WHERE newest.act IN ('apply', 'baseline', 'accept');
COMMENT ON VIEW migrations.applied IS 'The migrations applied to this database, by their newest history row';

CREATE OR REPLACE FUNCTION migrations.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = 'migrations.history is append-only: its rows cannot be changed or removed';
END
$$;
REVOKE ALL ON FUNCTION migrations.refuse_change() FROM PUBLIC;
COMMENT ON FUNCTION migrations.refuse_change() IS 'Refuses UPDATE, DELETE and TRUNCATE on the history';

CREATE OR REPLACE TRIGGER trg_history_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON migrations.history
FOR EACH STATEMENT EXECUTE FUNCTION migrations.refuse_change();

-- Format 3: the trigger also fires under session_replication_role = replica. If the owner of the database has become the
-- owner of the history, for example by a restore without owners, the owner is set back.
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
