-- Years from this one on (the year of Vietnam) that have no partition, and what stands in the way of one.
WITH wanted AS (
    SELECT year, 'outcome_measures_' || year AS name,
           format('FOR VALUES FROM (''%s-01-01'') TO (''%s-01-01'')', year, year + 1) AS bound
    FROM generate_series(
        extract(year FROM now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::int,
        extract(year FROM now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::int + current_setting('partitions.years_ahead')::int
    ) AS year
),
there AS (
    SELECT c.oid, c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'outcome_measures'::regclass
)
SELECT
    (SELECT coalesce(json_agg(year ORDER BY year), '[]') FROM wanted WHERE bound NOT IN (SELECT bound FROM there)) AS missing,
    (SELECT coalesce(json_agg(format('the table %s is there and is no partition for %s', name, year) ORDER BY year), '[]')
     FROM wanted
     WHERE bound NOT IN (SELECT bound FROM there) AND to_regclass(name) IS NOT NULL) AS in_the_way,
    (SELECT min(relname) FROM there WHERE bound = 'DEFAULT') AS default_partition
