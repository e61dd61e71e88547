-- Creates the missing partitions of outcome_measures for this year (of Vietnam) and partitions.years_ahead more.
-- It creates an empty table and then attaches it: that takes SHARE UPDATE EXCLUSIVE on outcome_measures, which allows
-- reads and writes; CREATE TABLE ... PARTITION OF would block both. Existing partitions stay unchanged. A table of that
-- name that is not a partition is an error, because it may contain rows.
DO $partitions$
DECLARE
    this_year  int := extract(year FROM now() AT TIME ZONE 'Asia/Ho_Chi_Minh');
    wanted     text;
    rest       text;
    leftover   bigint;
BEGIN
    SELECT c.oid::regclass::text INTO rest
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'outcome_measures'::regclass AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT';
    FOR year IN this_year .. this_year + current_setting('partitions.years_ahead')::int LOOP
        wanted := 'outcome_measures_' || year;
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'outcome_measures'::regclass
              AND pg_get_expr(c.relpartbound, c.oid)
                  = format('FOR VALUES FROM (''%s-01-01'') TO (''%s-01-01'')', year, year + 1)
        );
        IF to_regclass(wanted) IS NOT NULL THEN
            RAISE EXCEPTION 'relation "%" already exists and is not a partition of outcome_measures for %', wanted, year
                USING ERRCODE = 'duplicate_table', HINT = 'It may contain rows: see Partition already exists in docs/partitions.md';
        END IF;
        IF rest IS NOT NULL THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE measurement_date >= make_date($1, 1, 1)'
                           ' AND measurement_date < make_date($1 + 1, 1, 1)', rest) INTO leftover USING year;
            IF leftover > 0 THEN
                RAISE EXCEPTION 'the default partition % contains % rows of %', rest, leftover, year
                    USING ERRCODE = 'check_violation', HINT = 'Move them first: see docs/partitions.md';
            END IF;
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE outcome_measures INCLUDING DEFAULTS INCLUDING GENERATED'
                       ' INCLUDING CONSTRAINTS INCLUDING STORAGE)', wanted);
        EXECUTE format('COMMENT ON TABLE %I IS %L', wanted,
                       format('Scores measured in %s / Kết quả đo năm %s (kept ahead)', year, year));
        -- Queries that name the new table itself must not bypass row level security; the next deploy adds its policies.
        IF (SELECT relrowsecurity FROM pg_class WHERE oid = 'outcome_measures'::regclass) THEN
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', wanted);
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', wanted);
        END IF;
        EXECUTE format('ALTER TABLE outcome_measures ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', wanted,
                       make_date(year, 1, 1), make_date(year + 1, 1, 1));
    END LOOP;
END
$partitions$;
