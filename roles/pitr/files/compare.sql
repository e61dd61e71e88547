-- Rows of each table, and a hash of them that does not depend on their order. A partition counts as a part of its table.
SELECT relname AS name,
       (xpath('//n/text()', found))[1]::text::bigint AS number,
       (xpath('//h/text()', found))[1]::text AS hash
FROM pg_class AS c
CROSS JOIN LATERAL query_to_xml(
    format('SELECT count(*) AS n, sum(hashtextextended(t::text, 0)) AS h FROM %s AS t', c.oid::regclass),
    true, false, ''
) AS found
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname
