-- Takes the lock of the session again if a statement outside of a transaction released it, and fails if another run
-- has taken it.
DO $physioflow$
DECLARE
    c_key  CONSTANT bigint := pg_catalog.hashtextextended('migrations.history', 0);
    v_held boolean;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM set_config('client_min_messages', 'error', true); -- the next line warns if the lock is gone
    v_held := pg_advisory_unlock(c_key);
    IF NOT pg_try_advisory_lock(c_key) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'lock_not_available',
            MESSAGE = 'the file released the lock of the migrations, and another run holds the lock';
    END IF;
END
$physioflow$;
