# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only query of the catalogs: every object that pg_dump dumps, as kind, name and definition.

PostgreSQL stores an expression as a tree and prints it as a text. When that text is parsed again, the server may print
it differently (`s IN ('x')` of a varchar gains casts with each restore, a view loses brackets). So two definitions are
equal if their texts are equal, or if the server finally prints both texts in the same form. `settle` checks this in a
transaction that is rolled back. No row of a table is read.

A definition is one line of facts and, after a line end, the text that the server can parse again, if any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..sql import literal, unquoted

Object = tuple[str, str]  # kind and name

# Settings that affect the texts of definitions. They are set before the query and before `settle`.
PINNED = {
    "search_path": "pg_catalog, pg_temp",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "quote_all_identifiers": "off",
    "bytea_output": "hex",
    "lc_monetary": "C",
}
PIN = "".join(f"SET {name} = {value if name == 'search_path' else repr(value)};" for name, value in PINNED.items())

# Missing in a dump, and so after a restore: pg_dump leaves out invalid indexes and the versions of extensions, and
# dumps subscriptions for a superuser only.
NOT_DUMPED = ("invalid index", "extension version", "subscription")

_ROUNDS = 4  # a text that still changes after that counts as different


def _theirs(catalog: str, oid: str) -> str:
    """Return the condition that an object does not belong to an extension."""
    return f"NOT EXISTS (SELECT FROM brought WHERE classid = '{catalog}'::regclass AND objid = {oid})"


def _here(prefix: str, catalog: str, alias: str) -> str:
    """Return the condition that an object is in a schema of the user and not of an extension."""
    return f"{alias}.{prefix}namespace IN (SELECT oid FROM space) AND {_theirs(catalog, f'{alias}.oid')}"


def _acl(acl: str, baseline: str) -> str:
    """Return an ACL as a text that does not depend on the order of its entries; NULL where it is the baseline."""

    def text(which: str) -> str:
        return f"""(SELECT coalesce(string_agg(concat_ws(' ',
                privilege_type, CASE WHEN is_grantable THEN 'with grant option' END, 'to',
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, 'by', grantor::regrole), ', '
                ORDER BY privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                         grantor::regrole::text, is_grantable), 'none') FROM aclexplode({which}))"""

    return f"nullif({text(acl)}, {text(baseline)})"


# pg_attver is a version counter of a column that the newest minor releases keep; pg_dump leaves it out, too.
_OPTIONS = "array_to_string(ARRAY(SELECT o FROM unnest({}) AS o WHERE o NOT LIKE 'pg_attver=%' ORDER BY 1), ', ')"

_DEFAULT_ACL = _acl(
    "d.defaclacl",
    """CASE d.defaclnamespace WHEN 0 THEN acldefault(
        CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) END""",
)

_OBJECTS = rf"""
WITH space AS (
    SELECT oid, nspname FROM pg_namespace AS s
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' AND SPACES
),
brought AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
kept_ahead AS (
    SELECT c.oid FROM pg_class AS c WHERE c.relispartition AND KEPT_AHEAD
),
relation AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name, GUARDED AS guarded,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
               WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'c' THEN 'type' ELSE 'table' END AS kind
    FROM pg_class AS c JOIN space AS n ON n.oid = c.relnamespace
    WHERE c.relkind <> 't' AND c.relpersistence <> 't' AND {_theirs("pg_class", "c.oid")}
      AND c.oid NOT IN (SELECT oid FROM kept_ahead)
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = c.oid AND (
          indrelid IN (SELECT oid FROM kept_ahead) OR {_theirs("pg_class", "indrelid")[4:]}))
),
key AS (
    SELECT k.*, format('%I on %s', k.conname, r.name) AS name
    FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
),
object (classid, objid, objsubid, kind, name, definition) AS (
    SELECT 'pg_extension'::regclass, oid, 0, 'extension', format('%I', extname), 'in ' || extnamespace::regnamespace
    FROM pg_extension WHERE extname <> 'plpgsql'
    UNION ALL
    SELECT NULL, oid, 0, 'extension version', format('%I', extname), extversion FROM pg_extension
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 0, 'schema', format('%I', n.nspname), 'owner ' || nspowner::regrole
    FROM pg_namespace AS n JOIN space USING (oid) WHERE {_theirs("pg_namespace", "n.oid")}
    UNION ALL
    SELECT 'pg_class'::regclass, oid, 0, 'table', name, concat_ws(', ',
        CASE relkind WHEN 'f' THEN 'foreign' WHEN 'p' THEN 'partitioned' ELSE 'ordinary' END,
        CASE relpersistence WHEN 'u' THEN 'unlogged' END,
        CASE WHEN reloftype <> 0 THEN 'of ' || reloftype::regtype END,
        pg_get_expr(relpartbound, oid),
        (SELECT 'below ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
         FROM pg_inherits WHERE inhrelid = relation.oid),
        CASE WHEN relrowsecurity AND NOT guarded THEN 'row level security' END,
        CASE WHEN relforcerowsecurity AND NOT guarded THEN 'forced' END,
        CASE WHEN relreplident <> 'd' THEN 'replica identity ' || relreplident::text END,
        (SELECT 'method ' || amname FROM pg_am WHERE pg_am.oid = relam AND amname <> 'heap'),
        (SELECT 'in ' || quote_ident(spcname) FROM pg_tablespace AS s WHERE s.oid = reltablespace),
        nullif({_OPTIONS.format("reloptions")}, ''),
        (SELECT 'toast ' || nullif({_OPTIONS.format("t.reloptions")}, '')
         FROM pg_class AS t WHERE t.oid = relation.reltoastrelid),
        (SELECT concat_ws(' ', 'of', format('%I', srvname), {_OPTIONS.format("ftoptions")})
         FROM pg_foreign_table JOIN pg_foreign_server AS s ON s.oid = ftserver WHERE ftrelid = relation.oid),
        'owner ' || relowner::regrole) || coalesce(E'\n' || pg_get_partkeydef(oid), '')
    FROM relation WHERE relkind IN ('r', 'p', 'f')
    UNION ALL
    SELECT NULL, r.oid, 0, 'order of columns', r.name,
        string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM relation AS r
    JOIN pg_attribute ON attrelid = r.oid AND attnum > 0 AND NOT attisdropped
    WHERE r.relkind IN ('r', 'p', 'f', 'c')
      AND (r.relispartition OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = r.oid)) -- pg_dump puts theirs last
    GROUP BY r.oid, r.name
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, a.attnum, 'column', format('%s.%I', r.name, a.attname), concat_ws(' ',
        format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation END,
        CASE WHEN a.attnotnull THEN 'not null' END,
        CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
        CASE WHEN r.relkind NOT IN ('c', 'v') AND a.attstorage <> t.typstorage
             THEN 'storage ' || a.attstorage::text END,
        CASE WHEN a.attcompression <> '' THEN 'compression ' || a.attcompression::text END,
        CASE WHEN a.attstattarget >= 0 THEN 'statistics ' || a.attstattarget END,
        nullif({_OPTIONS.format("a.attoptions")}, ''),
        nullif({_OPTIONS.format("a.attfdwoptions")}, ''),
        CASE WHEN d.adbin IS NOT NULL
             THEN CASE WHEN a.attgenerated <> '' THEN 'generated' ELSE 'default' END
                  || E'\n' || pg_get_expr(d.adbin, d.adrelid) END)
    FROM relation AS r
    JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'c', 'v', 'm')
    UNION ALL
    SELECT CASE WHEN k.contype <> 'c' OR k.conislocal THEN 'pg_constraint'::regclass END, k.oid, 0, 'constraint',
        k.name, E'\n' || pg_get_constraintdef(k.oid)
    FROM key AS k WHERE k.contype <> 't' AND (k.contype <> 'f' OR k.conparentid = 0)
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, 0, 'constraint', format('%I on %s', conname, contypid::regtype),
        E'\n' || pg_get_constraintdef(k.oid)
    FROM pg_constraint AS k JOIN pg_type AS t ON t.oid = contypid WHERE {_here("typ", "pg_type", "t")}
    UNION ALL
    -- The index of a constraint is told by that, and only what may be said of it besides stands here.
    SELECT CASE WHEN k.oid IS NULL THEN 'pg_class'::regclass END, r.oid, 0,
        CASE WHEN i.indisvalid OR r.relkind = 'I' THEN 'index' ELSE 'invalid index' END, r.name,
        concat_ws(' ', CASE WHEN i.indisunique AND k.oid IS NULL THEN 'unique' END, 'on', i.indrelid::regclass,
            (SELECT 'below ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = r.oid),
            (SELECT 'in ' || quote_ident(spcname) FROM pg_tablespace AS s WHERE s.oid = r.reltablespace),
            CASE WHEN k.oid IS NOT NULL THEN nullif({_OPTIONS.format("r.reloptions")}, '') END,
            CASE WHEN i.indisclustered THEN 'clustered' END,
            CASE WHEN i.indisreplident THEN 'replica identity' END,
            (SELECT string_agg(format('statistics %s of column %s', attstattarget, attnum), ' ' ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = r.oid AND attstattarget >= 0))
        || CASE WHEN k.oid IS NULL THEN E'\n' || substr(pg_get_indexdef(r.oid), 1 + length(format(
            'CREATE %sINDEX %I ON %s%s ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, r.relname,
            CASE WHEN r.relkind = 'I' THEN 'ONLY ' END, i.indrelid::regclass))) ELSE '' END
    FROM relation AS r JOIN pg_index AS i ON i.indexrelid = r.oid
    LEFT JOIN pg_constraint AS k ON k.conindid = r.oid AND k.contype IN ('p', 'u', 'x')
    UNION ALL
    SELECT CASE WHEN g.tgparentid = 0 THEN 'pg_trigger'::regclass END, g.oid, 0, 'trigger',
        format('%I on %s', g.tgname, r.name), CASE g.tgenabled WHEN 'O' THEN '' WHEN 'A' THEN 'always'
            WHEN 'R' THEN 'replica' ELSE 'disabled' END
        || CASE WHEN g.tgparentid = 0 THEN E'\n' || pg_get_triggerdef(g.oid) ELSE '' END
    FROM pg_trigger AS g JOIN relation AS r ON r.oid = g.tgrelid
    WHERE NOT g.tgisinternal AND g.tgparentid = 0
       OR g.tgenabled <> (SELECT tgenabled FROM pg_trigger AS u WHERE u.oid = g.tgparentid)
    UNION ALL
    SELECT 'pg_rewrite'::regclass, u.oid, 0, 'rule', format('%I on %s', u.rulename, r.name),
        CASE u.ev_enabled WHEN 'O' THEN '' WHEN 'A' THEN 'always' WHEN 'R' THEN 'replica' ELSE 'disabled' END
        || E'\n' || pg_get_ruledef(u.oid)
    FROM pg_rewrite AS u JOIN relation AS r ON r.oid = u.ev_class WHERE u.rulename <> '_RETURN'
    UNION ALL
    SELECT 'pg_policy'::regclass, l.oid, 0, 'policy', format('%I on %s', l.polname, r.name), concat_ws(' ',
        CASE WHEN l.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for', CASE l.polcmd WHEN 'r' THEN 'select'
            WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END, 'to',
        (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE o::regrole::text END, ', ' ORDER BY o::regrole::text)
         FROM unnest(l.polroles) AS o))
        || E'\n' || concat_ws(' ', 'USING (' || pg_get_expr(l.polqual, l.polrelid) || ')',
            'WITH CHECK (' || pg_get_expr(l.polwithcheck, l.polrelid) || ')')
    FROM pg_policy AS l JOIN relation AS r ON r.oid = l.polrelid WHERE POLICIES
    UNION ALL
    SELECT 'pg_class'::regclass, oid, 0, kind, name, concat_ws(', ',
        (SELECT 'method ' || amname FROM pg_am WHERE pg_am.oid = relam AND amname <> 'heap'),
        (SELECT 'in ' || quote_ident(spcname) FROM pg_tablespace AS s WHERE s.oid = reltablespace),
        nullif({_OPTIONS.format("reloptions")}, ''), CASE WHEN NOT relispopulated THEN 'without rows' END,
        'owner ' || relowner::regrole) || E'\n' || pg_get_viewdef(oid)
    FROM relation WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, 0, 'sequence', r.name, concat_ws(' ', format_type(s.seqtypid, NULL),
        'from', s.seqstart, 'by', s.seqincrement, 'in', s.seqmin, 'to', s.seqmax, 'cache', s.seqcache,
        CASE WHEN s.seqcycle THEN 'cycle' END, CASE r.relpersistence WHEN 'u' THEN 'unlogged' END,
        (SELECT format('of %s.%I', d.refobjid::regclass, attname) FROM pg_depend AS d
         JOIN pg_attribute ON attrelid = d.refobjid AND attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype IN ('a', 'i')
           AND d.refclassid = 'pg_class'::regclass),
        'owner ' || r.relowner::regrole)
    FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, x.oid, 0, 'statistics',
        format('%s.%I', x.stxnamespace::regnamespace, x.stxname), concat_ws(' ',
        CASE WHEN x.stxstattarget >= 0 THEN 'target ' || x.stxstattarget END, 'owner', x.stxowner::regrole)
        || E'\n' || pg_get_statisticsobjdef(x.oid)
    FROM pg_statistic_ext AS x WHERE {_here("stx", "pg_statistic_ext", "x")}
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0, 'type', t.oid::regtype::text,
        CASE t.typtype
        WHEN 'e' THEN concat_ws(' ', 'enum', (SELECT string_agg(quote_literal(e.enumlabel), ', '
            ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid))
        WHEN 'd' THEN concat_ws(' ', 'domain', format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typcollation <> b.typcollation THEN 'collate ' || t.typcollation::regcollation END,
            CASE WHEN t.typnotnull THEN 'not null' END)
        WHEN 'r' THEN (SELECT concat_ws(' ', 'range of', rngsubtype::regtype, 'with', quote_ident(opcname),
            rngcollation::regcollation, rngcanonical::regprocedure, rngsubdiff::regprocedure, rngmultitypid::regtype)
            FROM pg_range JOIN pg_opclass AS o ON o.oid = rngsubopc WHERE rngtypid = t.oid)
        WHEN 'b' THEN concat_ws(' ', 'base', t.typinput::regprocedure, t.typoutput::regprocedure,
            t.typreceive::regprocedure, t.typsend::regprocedure, t.typmodin::regprocedure, t.typmodout::regprocedure,
            t.typanalyze::regprocedure, t.typsubscript::regprocedure, t.typlen, t.typbyval, t.typalign, t.typstorage,
            t.typcategory, t.typispreferred, t.typdelim, t.typelem::regtype, t.typcollation <> 0,
            quote_literal(t.typdefault))
        WHEN 'c' THEN 'composite' ELSE 'shell' END || ' owner ' || t.typowner::regrole
        || CASE WHEN t.typtype = 'd' THEN coalesce(E'\n' || pg_get_expr(t.typdefaultbin, 0), '') ELSE '' END
    FROM pg_type AS t LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
    WHERE {_here("typ", "pg_type", "t")} AND t.typtype IN ('e', 'd', 'c', 'r', 'b', 'p')
      AND (t.typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
      AND NOT EXISTS (SELECT FROM pg_type AS o WHERE o.typarray = t.oid)
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
        p.oid::regprocedure::text, 'owner ' || p.proowner::regrole || E'\n' || pg_get_functiondef(p.oid)
    FROM pg_proc AS p WHERE {_here("pro", "pg_proc", "p")} AND p.prokind <> 'a'
      -- The routines of a range type come with it.
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'i')
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0, 'aggregate', p.oid::regprocedure::text, concat_ws(' ',
        pg_get_function_arguments(p.oid), aggkind, aggnumdirectargs, aggtransfn::regprocedure, aggfinalfn::regprocedure,
        aggcombinefn::regprocedure, aggserialfn::regprocedure, aggdeserialfn::regprocedure,
        aggmtransfn::regprocedure, aggminvtransfn::regprocedure, aggmfinalfn::regprocedure, aggfinalextra,
        aggmfinalextra, aggfinalmodify, aggmfinalmodify, aggsortop::regoperator, aggtranstype::regtype, aggtransspace,
        aggmtranstype::regtype, aggmtransspace, quote_nullable(agginitval), quote_nullable(aggminitval),
        p.proparallel, 'owner', p.proowner::regrole)
    FROM pg_proc AS p JOIN pg_aggregate ON aggfnoid = p.oid WHERE {_here("pro", "pg_proc", "p")}
    UNION ALL
    SELECT 'pg_collation'::regclass, o.oid, 0, 'collation', o.oid::regcollation::text, concat_ws(' ',
        o.collprovider, quote_nullable(o.collcollate), quote_nullable(o.collctype),
        -- its name is another in each version
        quote_nullable(coalesce(to_jsonb(o) ->> 'colliculocale', to_jsonb(o) ->> 'colllocale')),
        quote_nullable(o.collicurules), o.collisdeterministic, 'owner', o.collowner::regrole)
    FROM pg_collation AS o WHERE {_here("coll", "pg_collation", "o")}
    UNION ALL
    SELECT 'pg_conversion'::regclass, c.oid, 0, 'conversion', format('%s.%I', c.connamespace::regnamespace, c.conname),
        concat_ws(' ', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
            c.conproc::regprocedure, CASE WHEN c.condefault THEN 'default' END, 'owner', c.conowner::regrole)
    FROM pg_conversion AS c WHERE {_here("con", "pg_conversion", "c")}
    UNION ALL
    SELECT 'pg_operator'::regclass, o.oid, 0, 'operator', o.oid::regoperator::text, concat_ws(' ',
        o.oprcode::regprocedure, o.oprresult::regtype, o.oprcom::regoperator, o.oprnegate::regoperator,
        o.oprrest::regprocedure, o.oprjoin::regprocedure, o.oprcanmerge, o.oprcanhash, 'owner', o.oprowner::regrole)
    FROM pg_operator AS o WHERE {_here("opr", "pg_operator", "o")} AND o.oprcode <> 0
    UNION ALL
    SELECT 'pg_opfamily'::regclass, f.oid, 0, 'operator family',
        format('%s.%I using %I', f.opfnamespace::regnamespace, f.opfname, amname), 'owner ' || f.opfowner::regrole
    FROM pg_opfamily AS f JOIN pg_am ON pg_am.oid = f.opfmethod WHERE {_here("opf", "pg_opfamily", "f")}
    UNION ALL
    SELECT 'pg_opclass'::regclass, c.oid, 0, 'operator class',
        format('%s.%I using %I', c.opcnamespace::regnamespace, c.opcname, amname), concat_ws(' ',
        'of', f.opfnamespace::regnamespace, quote_ident(f.opfname), 'for', c.opcintype::regtype,
        CASE WHEN c.opcdefault THEN 'default' END, c.opckeytype::regtype, 'owner', c.opcowner::regrole)
    FROM pg_opclass AS c JOIN pg_am ON pg_am.oid = c.opcmethod JOIN pg_opfamily AS f ON f.oid = c.opcfamily
    WHERE {_here("opc", "pg_opclass", "c")}
    UNION ALL
    SELECT NULL, m.oid, 0, identity.type, identity.identity, ''
    FROM (SELECT 'pg_amop'::regclass AS class, oid, amopfamily AS family FROM pg_amop
          UNION ALL SELECT 'pg_amproc'::regclass, oid, amprocfamily FROM pg_amproc) AS m
    JOIN pg_opfamily AS f ON f.oid = m.family
    CROSS JOIN LATERAL (SELECT type, concat_ws(' ', identity, CASE m.class WHEN 'pg_amop'::regclass THEN (
            SELECT concat_ws(' ', amopopr::regoperator, amoppurpose, amopsortfamily::text) FROM pg_amop
            WHERE oid = m.oid AND amopsortfamily = 0)
        ELSE (SELECT amproc::regprocedure::text FROM pg_amproc WHERE oid = m.oid) END) AS identity
        FROM pg_identify_object(m.class, m.oid, 0)) AS identity
    WHERE {_here("opf", "pg_opfamily", "f")}
       OR EXISTS (SELECT FROM pg_depend AS d JOIN pg_opclass AS c ON d.refclassid = 'pg_opclass'::regclass
                  AND c.oid = d.refobjid WHERE d.classid = m.class AND d.objid = m.oid
                  AND {_here("opc", "pg_opclass", "c")})
    UNION ALL
    SELECT 'pg_cast'::regclass, c.oid, 0, 'cast', format('(%s AS %s)', c.castsource::regtype, c.casttarget::regtype),
        concat_ws(' ', c.castfunc::regprocedure, c.castcontext, c.castmethod)
    FROM pg_cast AS c WHERE c.oid >= 16384 AND {_theirs("pg_cast", "c.oid")}
    UNION ALL
    SELECT 'pg_transform'::regclass, f.oid, 0, 'transform', format('for %s language %I', f.trftype::regtype, lanname),
        concat_ws(' ', f.trffromsql::regprocedure, f.trftosql::regprocedure)
    FROM pg_transform AS f JOIN pg_language AS l ON l.oid = f.trflang
    WHERE f.oid >= 16384 AND {_theirs("pg_transform", "f.oid")}
    UNION ALL
    SELECT 'pg_language'::regclass, l.oid, 0, 'language', format('%I', l.lanname), concat_ws(' ', l.lanpltrusted,
        l.lanplcallfoid::regprocedure, l.laninline::regprocedure, l.lanvalidator::regprocedure,
        'owner', l.lanowner::regrole)
    FROM pg_language AS l WHERE l.oid >= 16384 AND {_theirs("pg_language", "l.oid")}
    UNION ALL
    SELECT 'pg_am'::regclass, a.oid, 0, 'access method', format('%I', a.amname),
        concat_ws(' ', a.amtype, a.amhandler::regprocedure)
    FROM pg_am AS a WHERE a.oid >= 16384 AND {_theirs("pg_am", "a.oid")}
    UNION ALL
    SELECT 'pg_ts_parser'::regclass, p.oid, 0, 'text search parser',
        format('%s.%I', p.prsnamespace::regnamespace, p.prsname), concat_ws(' ', p.prsstart::regprocedure,
        p.prstoken::regprocedure, p.prsend::regprocedure, p.prsheadline::regprocedure, p.prslextype::regprocedure)
    FROM pg_ts_parser AS p WHERE {_here("prs", "pg_ts_parser", "p")}
    UNION ALL
    SELECT 'pg_ts_template'::regclass, p.oid, 0, 'text search template',
        format('%s.%I', p.tmplnamespace::regnamespace, p.tmplname),
        concat_ws(' ', p.tmplinit::regprocedure, p.tmpllexize::regprocedure)
    FROM pg_ts_template AS p WHERE {_here("tmpl", "pg_ts_template", "p")}
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, p.oid, 0, 'text search dictionary', p.oid::regdictionary::text, concat_ws(' ',
        t.tmplnamespace::regnamespace, quote_ident(t.tmplname), p.dictinitoption, 'owner', p.dictowner::regrole)
    FROM pg_ts_dict AS p JOIN pg_ts_template AS t ON t.oid = p.dicttemplate WHERE {_here("dict", "pg_ts_dict", "p")}
    UNION ALL
    SELECT 'pg_ts_config'::regclass, c.oid, 0, 'text search configuration', c.oid::regconfig::text, concat_ws(' ',
        p.prsnamespace::regnamespace, quote_ident(p.prsname), (
            SELECT string_agg(concat_ws(' ', maptokentype, mapdict::regdictionary), ', '
                              ORDER BY maptokentype, mapseqno)
            FROM pg_ts_config_map WHERE mapcfg = c.oid), 'owner', c.cfgowner::regrole)
    FROM pg_ts_config AS c JOIN pg_ts_parser AS p ON p.oid = c.cfgparser WHERE {_here("cfg", "pg_ts_config", "c")}
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, f.oid, 0, 'foreign-data wrapper', format('%I', f.fdwname),
        concat_ws(' ', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure, {_OPTIONS.format("f.fdwoptions")},
            'owner', f.fdwowner::regrole)
    FROM pg_foreign_data_wrapper AS f WHERE {_theirs("pg_foreign_data_wrapper", "f.oid")}
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, 0, 'server', format('%I', s.srvname), concat_ws(' ', 'of',
        quote_ident(f.fdwname), quote_nullable(s.srvtype), quote_nullable(s.srvversion),
        {_OPTIONS.format("s.srvoptions")}, 'owner', s.srvowner::regrole)
    FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS f ON f.oid = s.srvfdw
    WHERE {_theirs("pg_foreign_server", "s.oid")}
    UNION ALL
    -- Its options are passwords, and only its owner sees them.
    SELECT NULL, m.umid, 0, 'user mapping', format('for %I at %I', m.usename, m.srvname), ''
    FROM pg_user_mappings AS m
    UNION ALL
    SELECT 'pg_event_trigger'::regclass, e.oid, 0, 'event trigger', format('%I', e.evtname), concat_ws(' ', e.evtevent,
        CASE e.evtenabled WHEN 'O' THEN '' WHEN 'A' THEN 'always' WHEN 'R' THEN 'replica' ELSE 'disabled' END,
        (SELECT string_agg(tag, ', ' ORDER BY tag) FROM unnest(e.evttags) AS tag), e.evtfoid::regprocedure,
        'owner', e.evtowner::regrole)
    FROM pg_event_trigger AS e WHERE {_theirs("pg_event_trigger", "e.oid")}
    UNION ALL
    SELECT 'pg_publication'::regclass, p.oid, 0, 'publication', format('%I', p.pubname), concat_ws(' ',
        CASE WHEN p.puballtables THEN 'all tables' END, CASE WHEN p.pubinsert THEN 'insert' END,
        CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
        CASE WHEN p.pubtruncate THEN 'truncate' END, CASE WHEN p.pubviaroot THEN 'via root' END,
        'owner', p.pubowner::regrole)
    FROM pg_publication AS p WHERE {_theirs("pg_publication", "p.oid")}
    UNION ALL
    SELECT NULL, r.oid, 0, 'publication of table', format('%s in %I', r.prrelid::regclass, p.pubname), concat_ws(' ',
        'columns', (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                    WHERE attrelid = r.prrelid AND attnum = ANY (r.prattrs)))
        || coalesce(E'\n' || pg_get_expr(r.prqual, r.prrelid), '')
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
    UNION ALL
    SELECT NULL, r.oid, 0, 'publication of schema', format('%s in %I', r.pnnspid::regnamespace, p.pubname), ''
    FROM pg_publication_namespace AS r JOIN pg_publication AS p ON p.oid = r.pnpubid
    UNION ALL
    SELECT NULL, s.oid, 0, 'subscription', format('%I', s.subname), s.subowner::regrole::text
    FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid WHERE d.datname = current_database()
    UNION ALL
    SELECT NULL, d.oid, 0, 'default privileges', concat_ws(' ', 'for', d.defaclrole::regrole,
        'in ' || nullif(d.defaclnamespace, 0)::regnamespace, 'on', CASE d.defaclobjtype WHEN 'r' THEN 'tables'
        WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE 'schemas' END),
        {_DEFAULT_ACL}
    FROM pg_default_acl AS d
    UNION ALL
    SELECT NULL, d.objid, 0, 'depends on extension', concat_ws(' ', i.type, i.identity), string_agg(
        format('%I', e.extname), ', ' ORDER BY e.extname)
    FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
    WHERE d.deptype = 'x' GROUP BY d.classid, d.objid, i.type, i.identity
),
granted (classid, objid, objsubid, kind, name, acl, fallback) AS (
    SELECT 'pg_class'::regclass, c.oid, 0, CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' ELSE 'table' END, c.oid::regclass::text, relacl,
        acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)
    FROM pg_class AS c WHERE relacl IS NOT NULL AND relpersistence <> 't' AND c.relkind NOT IN ('i', 'I', 't', 'c')
    UNION ALL
    SELECT 'pg_class'::regclass, attrelid, attnum, 'column', format('%s.%I', attrelid::regclass, attname), attacl,
        NULL FROM pg_attribute WHERE attacl IS NOT NULL AND NOT attisdropped
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, 0, CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
        ELSE 'function' END, oid::regprocedure::text, proacl, acldefault('f', proowner)
    FROM pg_proc WHERE proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_type'::regclass, oid, 0, 'type', oid::regtype::text, typacl, acldefault('T', typowner)
    FROM pg_type WHERE typacl IS NOT NULL
    UNION ALL
    SELECT 'pg_namespace'::regclass, oid, 0, 'schema', format('%I', nspname), nspacl, acldefault('n', nspowner)
    FROM pg_namespace WHERE nspacl IS NOT NULL AND nspname !~ '^pg_(toast_)?temp_'
    UNION ALL
    SELECT 'pg_language'::regclass, oid, 0, 'language', format('%I', lanname), lanacl, acldefault('l', lanowner)
    FROM pg_language WHERE lanacl IS NOT NULL
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, 'foreign-data wrapper', format('%I', fdwname), fdwacl,
        acldefault('F', fdwowner) FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, oid, 0, 'server', format('%I', srvname), srvacl,
        acldefault('S', srvowner) FROM pg_foreign_server WHERE srvacl IS NOT NULL
),
privileges AS (
    SELECT g.*, CASE WHEN o.objid IS NOT NULL THEN {_acl("g.acl", "g.fallback")}
        ELSE {_acl("g.acl", "coalesce(i.initprivs, g.fallback)")} END AS definition
    FROM granted AS g
    LEFT JOIN object AS o ON o.classid = g.classid AND o.objid = g.objid AND o.objsubid = g.objsubid
    LEFT JOIN pg_init_privs AS i ON i.classoid = g.classid AND i.objoid = g.objid AND i.objsubid = g.objsubid
    WHERE o.objid IS NOT NULL OR i.objoid IS NOT NULL OR ALL_PRIVILEGES
)
SELECT kind, name, definition FROM object
WHERE definition IS NOT NULL
  AND (kind <> 'index' OR definition ~ E'\n| (below|in|clustered|replica|statistics|[a-z_]+=)')
UNION ALL
SELECT 'comment', concat_ws(' ', o.kind, o.name), c.description
FROM pg_description AS c JOIN object AS o ON o.classid = c.classoid AND o.objid = c.objoid AND o.objsubid = c.objsubid
UNION ALL
SELECT 'comment', concat_ws(' ', o.kind, o.name), 'on ' || c.description -- of the index of a constraint
FROM pg_description AS c JOIN object AS o ON o.kind = 'index' AND o.classid IS NULL AND o.objid = c.objoid
WHERE c.classoid = 'pg_class'::regclass
UNION ALL
SELECT 'security label', concat_ws(' ', o.kind, o.name, 'by', l.provider), l.label
FROM pg_seclabel AS l JOIN object AS o ON o.classid = l.classoid AND o.objid = l.objoid AND o.objsubid = l.objsubid
UNION ALL
SELECT 'privileges', concat_ws(' ', kind, name), definition FROM privileges WHERE definition IS NOT NULL
"""


def _look(**conditions: str) -> str:
    """Return the query with its conditions filled in."""
    return re.sub("|".join(conditions), lambda match: conditions[match[0]], _OBJECTS)


# All objects of a dump.
OBJECTS = _look(SPACES="true", KEPT_AHEAD="false", GUARDED="false", POLICIES="true", ALL_PRIVILEGES="true")

# Objects of the migrations: without the schema of their history, the policies of the role `database` (physioflow_...)
# and the partitions that the role `partitions` creates in advance, which grow in number every year.
MIGRATED = _look(
    SPACES="nspname <> 'migrations'",
    KEPT_AHEAD="obj_description(c.oid, 'pg_class') LIKE '%(kept ahead)'",
    GUARDED=r"EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND polname LIKE 'physioflow\_%')",
    POLICIES=r"l.polname NOT LIKE 'physioflow\_%'",
    ALL_PRIVILEGES="false",
)

_NAME = re.compile(r'"(?:[^"]|"")*"|[^". ]+')
# Objects that cannot exist twice under one name: kind, the function that prints them, and their catalog.
_MADE_ANEW = {
    "rule": ("pg_get_ruledef", "pg_rewrite"),
    "statistics": ("pg_get_statisticsobjdef", "pg_statistic_ext"),
    "trigger": ("pg_get_triggerdef", "pg_trigger"),
}
_BESIDE = "CREATE TEMPORARY TABLE {temporary} (LIKE {table}){more}"


class Session(Protocol):
    """A connection in autocommit to a database without other active sessions."""

    def execute(self, sql: str) -> None:
        """Run SQL."""

    def rows(self, sql: str) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a query."""


def objects_of(rows: Iterable[Mapping[str, Any]]) -> dict[Object, str]:
    """Return the rows of the query as definitions by kind and name."""
    return {(row["kind"], row["name"]): row["definition"] or "" for row in rows}


def differing(session: Session, one: Mapping[Object, str], other: Mapping[Object, str]) -> list[Object]:
    """Return the objects that exist on one side only, or whose definitions differ in more than wording.

    Args:
        session: of a database with the objects that the definitions name; it is locked briefly and not changed.
        one: definition by kind and name.
        other: the same for another database.
    """
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    doubtful = [key for key in keys if key in one and key in other and _may_be_equal(one[key], other[key])]
    if not doubtful:
        return keys
    session.execute(PIN)
    session.execute("BEGIN; SET LOCAL check_function_bodies = off; SET LOCAL lock_timeout = '10s'")
    try:
        equal = {key for key in doubtful if settle(session, *key, one[key]) & settle(session, *key, other[key])}
    finally:
        session.execute("ROLLBACK")
    return [key for key in keys if key not in equal]


def _may_be_equal(one: str, other: str) -> bool:
    """Tell whether the facts are equal and only the texts differ."""
    return "\n" in one and "\n" in other and one.partition("\n")[0] == other.partition("\n")[0]


def settle(session: Session, kind: str, name: str, definition: str) -> set[str]:
    """Return all forms of a definition's text: its own, and those that the server prints from each previous form.

    Args:
        session: in a transaction that will be rolled back.
        kind: kind of the object.
        name: name of the object.
        definition: its definition from the query.
    """
    facts, _, text = definition.partition("\n")
    words = {text}
    for _round in range(_ROUNDS):
        session.execute("SAVEPOINT settling")
        try:
            text = _read_again(session, kind, name, facts, text)
        except Exception:  # of any driver; a text that the server rejects stays as it is
            return words
        finally:
            session.execute("ROLLBACK TO SAVEPOINT settling")
        if text in words:
            break
        words.add(text)
    return words


# One branch for each kind of object.
def _read_again(session: Session, kind: str, name: str, facts: str, text: str) -> str:  # noqa: PLR0912
    """Let the server parse a text, and return the text that it prints."""
    parts = _NAME.findall(name)
    owner = name[len(parts[0]) + len(" on ") :]  # of a name like `part on table`
    last = "ORDER BY oid DESC LIMIT 1"
    if kind == "column":
        table, column = ".".join(parts[:2]), parts[2]
        temporary = _beside(session, table)
        change = f"ALTER COLUMN {column} SET DEFAULT {text}"
        if facts.endswith("generated"):
            [row] = session.rows(
                f"SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute "
                f"WHERE attrelid = {literal(table)}::regclass AND attname = {literal(unquoted(column))}"
            )
            change = f"DROP COLUMN {column}, ADD COLUMN {column} {row['type']} GENERATED ALWAYS AS ({text}) STORED"
        session.execute(f"ALTER TABLE {temporary} {change}")
        query = (
            "pg_get_expr(adbin, adrelid) AS text FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND "
            f"attnum = adnum WHERE adrelid = {literal(temporary)}::regclass AND attname = {literal(unquoted(column))}"
        )
    elif kind == "constraint" and text.startswith(("CHECK", "EXCLUDE")):
        [row] = session.rows(f"SELECT to_regclass({literal(owner)}) IS NULL AS domain")
        if row["domain"]:
            _domain(session, owner, f"CONSTRAINT settled {text}")
        else:
            session.execute(f"ALTER TABLE {_beside(session, owner)} ADD CONSTRAINT settled {text}")
        query = f"pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = 'settled' {last}"
    elif kind in ("index", "invalid index"):
        temporary = _beside(
            session, re.sub(r" (below|in|clustered|replica|statistics) .*", "", facts.partition("on ")[2])
        )
        head = f"CREATE {'UNIQUE ' if facts.startswith('unique') else ''}INDEX settled ON "
        session.execute(f"{head}{temporary} {text}")
        query = (
            f"substr(pg_get_indexdef('pg_temp.settled'::regclass), {1 + len(head)} "
            f"+ length({literal(temporary)} || ' ')) AS text"
        )
    elif kind == "table":
        query = f"pg_get_partkeydef({literal(_beside(session, name, f' PARTITION BY {text}'))}::regclass) AS text"
    elif kind in ("view", "materialized view"):
        session.execute(f"CREATE TEMPORARY VIEW settled AS {text}")
        query = "pg_get_viewdef('pg_temp.settled'::regclass) AS text"
    elif kind == "publication of table":
        session.execute(f"ALTER TABLE {_beside(session, '.'.join(parts[:2]))} ADD CONSTRAINT settled CHECK ({text})")
        query = f"pg_get_expr(conbin, conrelid) AS text FROM pg_constraint WHERE conname = 'settled' {last}"
    elif kind == "type":
        _domain(session, name, f"DEFAULT {text}")
        query = "pg_get_expr(typdefaultbin, 0) AS text FROM pg_type WHERE oid = 'pg_temp.settled'::regtype"
    elif kind in ("function", "procedure"):
        session.execute(text)
        query = f"pg_get_functiondef({literal(name)}::regprocedure) AS text"
    elif kind == "policy":
        session.execute(f"ALTER POLICY {name} {text}")
        query = (
            "concat_ws(' ', 'USING (' || pg_get_expr(polqual, polrelid) || ')', "
            "'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') AS text FROM pg_policy "
            f"WHERE polrelid = {literal(owner)}::regclass AND polname = {literal(unquoted(parts[0]))}"
        )
    elif kind in _MADE_ANEW:
        session.execute(f"DROP {kind} {name}; {text}")
        show, catalog = _MADE_ANEW[kind]
        query = f"{show}(oid) AS text FROM {catalog} {last}"
    else:
        return text  # names only
    [row] = session.rows(f"SELECT {query}")
    return str(row["text"])


def _beside(session: Session, table: str, more: str = "") -> str:
    """Create an empty temporary table with the name and columns of another one, to parse expressions on it."""
    temporary = f"pg_temp.{_NAME.findall(table)[1]}"
    session.execute(_BESIDE.format(temporary=temporary, table=table, more=more))
    return temporary


def _domain(session: Session, name: str, what: str) -> None:
    """Create a domain like another one with an additional clause."""
    [row] = session.rows(
        f"SELECT format_type(typbasetype, typtypmod) AS base FROM pg_type WHERE oid = {literal(name)}::regtype"
    )
    session.execute(f"CREATE DOMAIN pg_temp.settled AS {row['base']} {what}")
