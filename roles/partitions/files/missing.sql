-- The years without a partition, from this year on (of Vietnam).
WITH today AS (
    SELECT extract(year FROM now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::int AS this_year
)
SELECT coalesce(json_agg(year ORDER BY year), '[]') AS missing,
       EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass('outcome_measures')) AS partitioned
FROM today, generate_series(this_year, this_year + current_setting('partitions.years_ahead')::int) AS year
WHERE format('FOR VALUES FROM (''%s-01-01'') TO (''%s-01-01'')', year, year + 1) NOT IN (
    SELECT pg_get_expr(c.relpartbound, c.oid)
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass('outcome_measures')
)
