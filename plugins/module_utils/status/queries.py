# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The queries for the status screen, the metrics and the report; each statement returns one JSON object.

None reads query texts, which may hold patients' data, or waits for a table lock: sizes are those that the last VACUUM
or ANALYZE recorded, because pg_total_relation_size() would wait for a migration that alters the table.
"""

from __future__ import annotations

# Of a relation c in schema n.
_NAME = "CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname"
_OURS = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migrations')"
# Of a table with its indexes and TOAST.
_BYTES = """(SELECT sum(p.relpages::bigint) * current_setting('block_size')::bigint FROM pg_class AS p
             WHERE p.oid IN ({0}.oid, {0}.reltoastrelid)
                OR p.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN ({0}.oid, {0}.reltoastrelid)))"""
_SECONDS = "round(extract(epoch FROM clock_timestamp() - {}))::bigint"

# Sessions of runs have the name of their current file as application_name.
_RUNS = f"""
SELECT json_agg(json_build_object(
    'pid', a.pid, 'application', a.application_name, 'state', a.state, 'wait', a.wait_event,
    'age', {_SECONDS.format("coalesce(a.xact_start, a.query_start)")},
    'blockers', (SELECT json_agg(json_build_object(
            'pid', b.pid, 'user', b.usename, 'application', b.application_name, 'state', b.state,
            'age', {_SECONDS.format("CASE b.state WHEN 'active' THEN b.query_start ELSE b.state_change END")}
        ) ORDER BY b.pid)
        FROM pg_stat_activity AS b WHERE b.pid = ANY (pg_blocking_pids(a.pid))),
    'progress', (SELECT json_agg(p) FROM (
        SELECT lower(command) AS command, phase, relid::regclass::text AS relation,
               CASE WHEN blocks_total > 0 THEN 100.0 * blocks_done / blocks_total
                    WHEN tuples_total > 0 THEN 100.0 * tuples_done / tuples_total
                    WHEN lockers_total > 0 THEN 100.0 * lockers_done / lockers_total END AS percent
        FROM pg_stat_progress_create_index WHERE pid = a.pid
        UNION ALL
        SELECT 'vacuum', phase, relid::regclass::text, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
        FROM pg_stat_progress_vacuum WHERE pid = a.pid
        UNION ALL
        SELECT lower(command), phase, relid::regclass::text, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
        FROM pg_stat_progress_cluster WHERE pid = a.pid
        UNION ALL
        SELECT 'analyze', phase, relid::regclass::text, 100.0 * sample_blks_scanned / nullif(sample_blks_total, 0)
        FROM pg_stat_progress_analyze WHERE pid = a.pid
        UNION ALL
        SELECT lower(command), 'copying', relid::regclass::text, 100.0 * bytes_processed / nullif(bytes_total, 0)
        FROM pg_stat_progress_copy WHERE pid = a.pid) AS p)
    ) ORDER BY a.backend_start)
FROM sessions AS a WHERE a.datname = current_database() AND a.application_name LIKE 'physioflow%'
"""

# Connection limits of the server, the database and each role: if one is reached, the next session is refused.
_CONNECTIONS = """
SELECT json_agg(p) FROM (
    SELECT 'server' AS "of", count(*) AS used, current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int - current_setting('reserved_connections')::int AS most
    FROM sessions
    UNION ALL
    SELECT 'database ' || d.datname, (SELECT count(*) FROM sessions WHERE datid = d.oid), d.datconnlimit
    FROM pg_database AS d WHERE d.datname = current_database() AND d.datconnlimit > 0
    UNION ALL
    SELECT 'role ' || r.rolname, count(*), r.rolconnlimit
    FROM sessions JOIN pg_roles AS r ON r.oid = usesysid AND r.rolconnlimit > 0 GROUP BY r.rolname, r.rolconnlimit
) AS p
"""

_TRANSACTIONS = f"""
SELECT json_agg(t) FROM (
    SELECT pid, usename AS "user", application_name AS application, state, wait_event AS wait,
           {_SECONDS.format("xact_start")} AS age
    FROM sessions
    WHERE datname = current_database() AND xact_start IS NOT NULL AND application_name NOT LIKE 'physioflow%'
    UNION ALL
    SELECT NULL, owner, '', 'prepared', NULL, {_SECONDS.format("prepared")}
    FROM pg_prepared_xacts WHERE database = current_database()
    ORDER BY age DESC LIMIT 5
) AS t
"""

_LOCKS = f"""
SELECT json_agg(w) FROM (
    SELECT l.pid, a.usename AS "user", a.application_name AS application, l.relation::regclass::text AS relation,
           coalesce({_SECONDS.format("l.waitstart")}, 0) AS age, pg_blocking_pids(l.pid) AS blockers
    FROM pg_locks AS l JOIN sessions AS a ON a.pid = l.pid
    WHERE NOT l.granted AND a.datname = current_database() AND a.application_name NOT LIKE 'physioflow%'
    ORDER BY age DESC LIMIT 5
) AS w
"""

# A partitioned table is the sum of its partitions, with their indexes and TOAST.
_TABLES = f"""
SELECT json_agg(t ORDER BY bytes DESC, name) FROM (
    SELECT {_NAME} AS name, sum(s.n_live_tup) AS rows, sum(s.n_dead_tup) AS dead, sum(s.seq_scan) AS seq_scan,
           sum(coalesce(s.idx_scan, 0)) AS idx_scan, sum({_BYTES.format("own")}) AS bytes
    FROM pg_stat_user_tables AS s
    JOIN pg_class AS own ON own.oid = s.relid AND own.relkind <> 'p'
    JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(s.relid), s.relid)
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_OURS}
    GROUP BY 1
) AS t
"""

# Only indexes that speed up searches: a unique index is useful even without scans.
_INDEXES = f"""
SELECT json_agg(i ORDER BY bytes DESC, name) FROM (
    SELECT {_NAME} AS name, sum(s.idx_scan) AS scans,
           sum(own.relpages::bigint) * current_setting('block_size')::bigint AS bytes
    FROM pg_stat_user_indexes AS s
    JOIN pg_class AS own ON own.oid = s.indexrelid
    JOIN pg_index AS x ON x.indexrelid = s.indexrelid AND NOT (x.indisunique OR x.indisexclusion)
    JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(s.indexrelid), s.indexrelid)
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_OURS}
    GROUP BY 1
) AS i
"""

_INVALID = f"""
SELECT json_agg({_NAME} ORDER BY c.relname)
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT x.indisvalid AND c.relkind = 'i' AND {_OURS}
  AND x.indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index) -- that one will be valid
"""

# Collations that had another version, of glibc or ICU, when their indexes were built: the database's own, and those of
# index columns. C.UTF-8 has none.
_COLLATIONS = """
SELECT json_agg(c) FROM (
    SELECT 'DATABASE' AS kind, quote_ident(datname) AS name, datcollversion AS recorded,
           pg_database_collation_actual_version(oid) AS actual
    FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 'COLLATION', oid::regcollation::text, collversion, pg_collation_actual_version(oid)
    FROM pg_collation WHERE collversion IS NOT NULL AND oid IN (SELECT unnest(indcollation) FROM pg_index)
) AS c WHERE recorded <> actual
"""

# For tables partitioned by date, the days of each partition; the last day is exclusive.
_PARTITIONS = rf"""
SELECT json_object_agg(name, parts) FROM (
    SELECT {_NAME} AS name, (
        SELECT json_agg(json_build_array(days[1], days[2]) ORDER BY days[1])
        FROM pg_inherits JOIN pg_class AS p ON p.oid = inhrelid, LATERAL (SELECT regexp_match(
            pg_get_expr(p.relpartbound, 0), 'FROM \(''(\d{{4}}-\d\d-\d\d)''\) TO \(''(\d{{4}}-\d\d-\d\d)''\)') AS days
        ) AS bound
        WHERE inhparent = c.oid AND days IS NOT NULL) AS parts
    FROM pg_partitioned_table AS t JOIN pg_class AS c ON c.oid = t.partrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = t.partattrs[0] AND a.atttypid = 'date'::regtype
    WHERE t.partstrat = 'r' AND t.partnatts = 1 AND {_OURS}
) AS p
"""

_WAL = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END"

FIGURES = f"""
WITH sessions AS MATERIALIZED (
    SELECT * FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
)
SELECT json_build_object(
    'now', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'),
    'has_history', to_regclass('migrations.history') IS NOT NULL,
    'version', split_part(current_setting('server_version'), ' ', 1),
    'up', {_SECONDS.format("pg_postmaster_start_time()")},
    'standby', pg_is_in_recovery(),
    -- Of who may not see it there is no row.
    'data_directory', (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
    'sees_sessions', pg_has_role('pg_read_all_stats', 'USAGE'),
    'connections', ({_CONNECTIONS}),
    'transactions', ({_TRANSACTIONS}),
    'locks', ({_LOCKS}),
    'runs', ({_RUNS}),
    'database', (
        SELECT json_build_object(
            'bytes', pg_database_size(d.oid), 'hit', s.blks_hit, 'read', s.blks_read,
            'deadlocks', s.deadlocks, 'checksum_failures', coalesce(s.checksum_failures, 0),
            'transaction_ids', age(d.datfrozenxid))
        FROM pg_database AS d JOIN pg_stat_database AS s ON s.datid = d.oid WHERE d.datname = current_database()),
    'tables', ({_TABLES}),
    'indexes', ({_INDEXES}),
    'invalid', ({_INVALID}),
    'collations', ({_COLLATIONS}),
    'partitions', ({_PARTITIONS}),
    'archiver', (SELECT json_build_object(
        'archived', to_char(last_archived_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'),
        'failed', to_char(last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
        FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'),
    'replicas', (SELECT json_agg(json_build_object(
        'name', application_name, 'state', state, 'lag', pg_wal_lsn_diff({_WAL}, replay_lsn)::bigint))
        FROM pg_stat_replication),
    'slots', (SELECT json_agg(json_build_object(
        'name', slot_name, 'active', active, 'kept', pg_wal_lsn_diff({_WAL}, restart_lsn)::bigint))
        FROM pg_replication_slots)
)::text AS j
"""

HISTORY = """
SELECT json_build_object(
    'applied', (SELECT count(*) FROM migrations.applied),
    'versions', (SELECT json_agg(version) FROM migrations.applied),
    'newest', (SELECT json_build_object('version', version, 'name', name,
                                        'at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
               FROM migrations.applied ORDER BY id DESC LIMIT 1),
    'in_doubt', (SELECT json_agg(version || '_' || name || '.sql' ORDER BY version)
                 FROM (SELECT DISTINCT ON (version) * FROM migrations.history ORDER BY version, id DESC) AS newest
                 WHERE act = 'start'))::text AS j
"""

# Only for the report.
ACTS = """
SELECT coalesce(json_agg(json_build_object(
    'act', act, 'version', version, 'name', name, 'release', release, 'run', run_id, 'operator', operator,
    'controller', controller, 'ms', duration_ms::float8,
    'at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')) ORDER BY id), '[]')::text AS j
FROM migrations.history
"""

# Partitions of the tables partitioned by date, including indexes and TOAST; a whole year is labelled with the year.
_YEARS = rf"""
SELECT json_agg(y ORDER BY y.table, y.first) FROM (
    SELECT root.relname AS table, days[1] AS first, to_char(days[2]::date - 1, 'YYYY-MM-DD') AS last,
           left(days[1], CASE WHEN days[1] LIKE '%-01-01' AND days[1]::date + interval '1 year' = days[2]::date
                              THEN 4 ELSE 7 END) AS label,
           s.n_live_tup AS rows, {_BYTES.format("part")} AS bytes
    FROM pg_inherits
    JOIN pg_class AS root ON root.oid = inhparent
    JOIN pg_namespace AS n ON n.oid = root.relnamespace AND n.nspname = 'public'
    JOIN pg_class AS part ON part.oid = inhrelid AND part.relkind = 'r'
    JOIN pg_stat_user_tables AS s ON s.relid = part.oid,
    LATERAL (SELECT regexp_match(pg_get_expr(part.relpartbound, 0),
        'FROM \(''(\d{{4}}-\d\d-\d\d)''\) TO \(''(\d{{4}}-\d\d-\d\d)''\)') AS days) AS bound
    WHERE days IS NOT NULL
) AS y
"""

# The status screen lists the oldest ones; these are all sessions of the application.
DETAILS = f"""
WITH sessions AS (
    SELECT * FROM pg_stat_activity
    WHERE datname = current_database() AND usesysid IS NOT NULL AND application_name NOT LIKE 'physioflow%'
)
SELECT json_build_object(
    'years', coalesce(({_YEARS}), '[]'),
    'waiting', (SELECT count(*) FROM sessions WHERE pid IN (SELECT pid FROM pg_locks WHERE NOT granted)),
    'open', (SELECT count(*) FROM sessions WHERE xact_start IS NOT NULL)
        + (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()))::text AS j
"""
