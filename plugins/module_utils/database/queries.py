# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The queries by which the module `database_setup` reads a server; each returns one JSON object."""

from __future__ import annotations

COLLATION = "vi-VN-x-icu"  # sorts Vietnamese text

# An ACL as {grantee: [privileges]}; {0} is the column, {1} the meaning of NULL.
_ACL = """(SELECT coalesce(json_object_agg(grantee, privileges), '{{}}') FROM (
    SELECT coalesce(r.rolname::text, 'public') AS grantee, json_agg(a.privilege_type) AS privileges
    FROM aclexplode(coalesce({0}, {1})) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee GROUP BY 1) AS acl)"""

IDENTITY = """
SELECT rolname::text AS name, rolsuper AS superuser, rolcreaterole AS createrole, rolcreatedb AS createdb,
       rolbypassrls AS bypassrls, coalesce((SELECT pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') FROM pg_roles
                                            WHERE rolname = 'pg_read_all_data'), false) AS read_all
FROM pg_roles WHERE rolname = current_user
"""

# AUTHID is pg_authid for a superuser. Other roles may not read it; pg_roles shows stars instead of a verifier.
_CLUSTER = f"""
SELECT json_build_object(
    'version', current_setting('server_version'),
    'version_num', current_setting('server_version_num')::int,
    'standby', pg_is_in_recovery(),
    'read_only', current_setting('default_transaction_read_only') = 'on',
    'collation', EXISTS (SELECT FROM pg_collation WHERE collname = '{COLLATION}'),
    'available', (SELECT json_agg(name) FROM pg_available_extensions),
    'slots', (SELECT json_object_agg(name, setting::int) FROM pg_settings
              WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')),
    -- Of who may not see it there is no row, where current_setting() would be an error.
    'preloaded', (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),
    'strangers', (SELECT coalesce(json_agg(r.rolname || ' in ' || g.rolname ORDER BY 1), '[]')
                  FROM pg_auth_members AS m
                  JOIN pg_roles AS g ON g.oid = m.roleid JOIN pg_roles AS r ON r.oid = m.member
                  WHERE g.rolname = ANY (%(server_roles)s) AND NOT r.rolname = ANY (%(roles)s)
                    AND NOT r.rolsuper AND r.oid >= 16384),
    'roles', (SELECT coalesce(json_object_agg(rolname, json_build_object(
        'LOGIN', rolcanlogin, 'SUPERUSER', rolsuper, 'CREATEDB', rolcreatedb, 'CREATEROLE', rolcreaterole,
        'REPLICATION', rolreplication, 'BYPASSRLS', rolbypassrls, 'INHERIT', rolinherit,
        'limit', rolconnlimit, 'verifier', rolpassword, 'admin', pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'),
        'usable', pg_has_role(r.oid, 'USAGE') AND CASE
            WHEN current_setting('server_version_num')::int >= 160000 THEN pg_has_role(r.oid, 'SET') ELSE true END,
        'settings', (SELECT coalesce(json_agg(s), '[]') FROM pg_db_role_setting AS d, unnest(d.setconfig) AS s
                     WHERE d.setrole = r.oid AND d.setdatabase = 0),
        'member_of', (SELECT coalesce(json_agg(g.rolname), '[]') FROM pg_auth_members AS m
                      JOIN pg_roles AS g ON g.oid = m.roleid WHERE m.member = r.oid),
        'members', (SELECT coalesce(json_agg(g.rolname), '[]') FROM pg_auth_members AS m
                    JOIN pg_roles AS g ON g.oid = m.member WHERE m.roleid = r.oid AND NOT g.rolsuper),
        'owns', (SELECT coalesce(json_agg(DISTINCT coalesce(d.datname, o.datname)), '[]') FROM pg_shdepend AS s
                 LEFT JOIN pg_database AS d ON d.oid = s.dbid
                 LEFT JOIN pg_database AS o ON s.classid = 'pg_database'::regclass AND o.oid = s.objid
                 WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid AND s.deptype = 'o'
                   AND s.classid <> 'pg_largeobject'::regclass -- the application may make these: they hold data
                   AND coalesce(d.datname, o.datname) IS NOT NULL))), '{{}}')
        FROM AUTHID AS r WHERE rolname = ANY (%(roles)s)),
    'databases', (SELECT json_object_agg(datname, json_build_object(
        'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding), 'locale', datcollate,
        'ctype', datctype, 'owned', pg_has_role(datdba, 'USAGE'), 'limit', datconnlimit,
        'environment', (SELECT split_part(setting, '=', 2) FROM pg_db_role_setting AS s, unnest(setconfig) AS setting
                        WHERE s.setdatabase = d.oid AND s.setrole = 0 AND setting LIKE 'physioflow.environment=%%'),
        'acl', {_ACL.format("datacl", "acldefault('d', datdba)")}))
        FROM pg_database AS d WHERE datname = ANY (%(databases)s))
)::text AS j
"""  # noqa: S608 - built from constants
CLUSTER = _CLUSTER.replace("AUTHID", "pg_authid")
CLUSTER_FOR_OTHERS = _CLUSTER.replace("AUTHID", "pg_roles")

INSIDE = rf"""
SELECT json_build_object(
    'extensions', (SELECT coalesce(json_agg(extname), '[]') FROM pg_extension),
    'row_security', EXISTS (SELECT FROM pg_policy WHERE polname LIKE 'physioflow\_%%'),
    'languages', (SELECT coalesce(json_agg(lanname ORDER BY 1), '[]') FROM pg_language
                  WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')),
    -- Of the extensions that we make, the routines that are still as CREATE EXTENSION leaves them: open to PUBLIC.
    'open_routines', (SELECT coalesce(json_agg(p.oid::regprocedure::text ORDER BY 1), '[]')
        FROM pg_extension AS e
        JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
            AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
        JOIN pg_proc AS p ON p.oid = d.objid
        WHERE e.extname = ANY (%(extensions)s)
          AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0)),
    'public_schema', (SELECT {_ACL.format("nspacl", "acldefault('n', nspowner)")}
                      FROM pg_namespace WHERE nspname = 'public'),
    'default_privileges', (SELECT json_object_agg(kind, {_ACL.format("defaclacl", "acldefault(fallback, o.oid)")})
        FROM pg_roles AS o
        CROSS JOIN (VALUES ('r', 'r'::"char"), ('S', 's'), ('f', 'f'), ('T', 'T'), ('n', 'n')) AS k (kind, fallback)
        LEFT JOIN pg_default_acl AS d
            ON d.defaclrole = o.oid AND d.defaclnamespace = 0 AND d.defaclobjtype = kind::"char"
        WHERE o.rolname = %(owner)s),
    'untouched', (SELECT coalesce(json_object_agg(kind, names), '{{}}') FROM (
        SELECT kind, json_agg(name ORDER BY name) AS names FROM (
            SELECT CASE relkind WHEN 'S' THEN 'S' ELSE 'r' END AS kind, oid::regclass::text AS name, oid,
                   'pg_class'::regclass AS class, relowner AS owner, relnamespace AS schema, relacl AS acl
            FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            UNION ALL
            SELECT 'f', oid::regprocedure::text, oid, 'pg_proc'::regclass, proowner, pronamespace, proacl FROM pg_proc
            UNION ALL
            SELECT 'T', oid::regtype::text, oid, 'pg_type'::regclass, typowner, typnamespace, typacl
            FROM pg_type WHERE typtype IN ('d', 'e', 'r') OR typtype = 'c' AND EXISTS (
                SELECT FROM pg_class WHERE pg_class.oid = typrelid AND relkind = 'c')
            UNION ALL
            SELECT 'n', oid::regnamespace::text, oid, 'pg_namespace'::regclass, nspowner, oid, nspacl FROM pg_namespace
        ) AS object
        WHERE acl IS NULL AND owner = (SELECT oid FROM pg_roles WHERE rolname = %(owner)s)
          AND schema::regnamespace::text !~ '^pg_(toast_)?temp_'
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = object.oid AND deptype = 'e')
        GROUP BY kind) AS kinds)
)::text AS j
"""  # noqa: S608 - built from constants
