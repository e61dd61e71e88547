-- Makes the partitions of outcome_measures that are missing: this year (of Vietnam) and partitions.years_ahead more.
-- A new table is made and filled with nothing beside the old ones, and attached at the end: that takes SHARE UPDATE
-- EXCLUSIVE on outcome_measures, beside which reading and writing go on; CREATE TABLE ... PARTITION OF would stop both.
-- Years that are there stay as they are; a table of that name that is no partition is an error, as it may hold rows.
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
            RAISE EXCEPTION 'relation "%" already exists and is no partition of outcome_measures for %', wanted, year
                USING ERRCODE = 'duplicate_table', HINT = 'It may hold rows: see Partition already exists in docs/partitions.md';
        END IF;
        IF rest IS NOT NULL THEN
            EXECUTE format('SELECT count(*) FROM %s WHERE measurement_date >= make_date($1, 1, 1)'
                           ' AND measurement_date < make_date($1 + 1, 1, 1)', rest) INTO leftover USING year;
            IF leftover > 0 THEN
                RAISE EXCEPTION 'the default partition % holds % rows of %', rest, leftover, year
                    USING ERRCODE = 'check_violation', HINT = 'Move them first: see docs/partitions.md';
            END IF;
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE outcome_measures INCLUDING DEFAULTS INCLUDING GENERATED'
                       ' INCLUDING CONSTRAINTS INCLUDING STORAGE)', wanted);
        EXECUTE format('COMMENT ON TABLE %I IS %L', wanted,
                       format('Scores measured in %s / Kết quả đo năm %s (kept ahead)', year, year));
        -- Who names the new table itself gets no row past the policies of the others; the next deploy gives it its own.
        IF (SELECT relrowsecurity FROM pg_class WHERE oid = 'outcome_measures'::regclass) THEN
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', wanted);
            EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', wanted);
        END IF;
        EXECUTE format('ALTER TABLE outcome_measures ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', wanted,
                       make_date(year, 1, 1), make_date(year + 1, 1, 1));
    END LOOP;
END
$partitions$;
