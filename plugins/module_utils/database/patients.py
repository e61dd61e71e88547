# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the tables with rows of a clinic, and the statements that protect them: row level security, audit of reads.

Pure functions on the result of TABLES. A table belongs to a clinic by a column `clinic_id`, or by a path of foreign
keys to a table with one. Policies are compared as PostgreSQL prints them, so that manual changes are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..sql import identifier

CLINIC = "clinic_id"
# Columns that refer to a table, even without a foreign key, as in a partitioned table.
NAMED = {"patient_id": "patients"}
CLINIC_POLICY = "physioflow_clinic"
SHARED_POLICY = "physioflow_shared"
OWNER_POLICY = "physioflow_owner"
POLICIES = (CLINIC_POLICY, SHARED_POLICY, OWNER_POLICY)
WRITES = ("INSERT", "UPDATE", "DELETE")
NOTE = "Taken from the application: "

# Unset and empty mean no clinic: NULL equals no id.
SETTING = "(NULLIF(current_setting('app.clinic_id'::text, true), ''::text))::uuid"

# With search_path = pg_catalog: every name is printed with its schema.
TABLES = """
SELECT coalesce(json_agg(json_build_object(
    'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname,
    'parent', (SELECT inhparent::bigint FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition),
    'enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity,
    'audited', EXISTS (SELECT FROM aclexplode(c.relacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
                       WHERE r.rolname = %(audit_role)s AND a.privilege_type = 'SELECT'),
    'written', (SELECT coalesce(json_agg(DISTINCT a.privilege_type), '[]')
                FROM aclexplode(c.relacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
                WHERE r.rolname = %(app)s AND a.grantor = c.relowner
                  AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')),
    'columns', (SELECT json_object_agg(attname, json_build_object(
                    'type', atttypid::regtype::text, 'filled', attnotnull))
                FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
    'keys', (SELECT coalesce(json_agg(json_build_object('column', a.attname, 'table', k.confrelid::bigint,
                                                        'target', t.attname) ORDER BY a.attnum), '[]')
             FROM pg_constraint AS k
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
             JOIN pg_attribute AS t ON t.attrelid = k.confrelid AND t.attnum = k.confkey[1]
             WHERE k.conrelid = c.oid AND k.contype = 'f' AND cardinality(k.conkey) = 1),
    -- Whose rows take rows of this table with them when they are deleted or get another key; and the clinic, always.
    'hangs_on', (SELECT coalesce(json_agg(DISTINCT k.confrelid::bigint), '[]') FROM pg_constraint AS k
                 WHERE k.conrelid = c.oid AND k.contype = 'f' AND (
                     k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r') OR EXISTS (
                         SELECT FROM pg_attribute
                         WHERE attrelid = c.oid AND attnum = ANY (k.conkey) AND attname = 'clinic_id'))),
    'policies', (SELECT coalesce(json_object_agg(polname, json_build_object(
            'command', polcmd::text, 'permissive', polpermissive, 'using', pg_get_expr(polqual, polrelid),
            'check', pg_get_expr(polwithcheck, polrelid), 'note', obj_description(pg_policy.oid, 'pg_policy'),
            'roles', (SELECT json_agg(CASE o WHEN 0 THEN '' ELSE pg_get_userbyid(o) END) FROM unnest(polroles) AS o)
        )), '{}') FROM pg_policy WHERE polrelid = c.oid)
) ORDER BY n.nspname, c.relname), '[]')::text AS j
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.relowner = (
    SELECT oid FROM pg_roles WHERE rolname = %(owner)s)
"""


Table = Mapping[str, Any]  # an entry of TABLES


class Way(NamedTuple):
    """The column by which a table belongs to a clinic, and its target table and column; no table: the clinic id."""

    column: str
    table: Table | None = None
    target: str = ""


class Rule(NamedTuple):
    """Which rows of a table a role may see and write.

    Attributes:
        condition: as PostgreSQL prints it.
        role: the role of the rule; empty for all roles.
        reads: whether the rule is only for reading.
    """

    condition: str
    role: str = ""
    reads: bool = False


def place(table: Table) -> str:
    """Return schema and name of a table as an identifier."""
    return f"{identifier(table['schema'])}.{identifier(table['name'])}"


def printed(name: str) -> str:
    """Return a name as PostgreSQL prints it, with quotes only where it is no plain word."""
    return name if name.isidentifier() and name == name.lower() and name.isascii() else identifier(name)


def ways(tables: Sequence[Table]) -> dict[int, Way]:
    """Return the path of each table to the clinic by its oid; tables of no clinic are left out.

    A clinic column of its own comes first, then the shortest path through NOT NULL columns. A partition has the path of
    its table.
    """
    by_oid = {table["oid"]: table for table in tables}
    by_name = {(table["schema"], table["name"]): table for table in tables}
    found = {table["oid"]: Way(CLINIC) for table in tables if table["columns"].get(CLINIC, {}).get("type") == "uuid"}
    while True:
        step: dict[int, Way] = {}
        for table in tables:
            if table["oid"] in found or table["parent"] in by_oid:
                continue
            keys = [Way(key["column"], by_oid.get(key["table"]), key["target"]) for key in table["keys"]]
            keys += [Way(column, by_name.get((table["schema"], name)), "id") for column, name in NAMED.items()]
            # A nullable column does not tell the clinic of each row; it may name the author, for instance. And a shared
            # row of the other table would share the rows that refer to it, of any patient.
            usable = [
                way
                for way in keys
                if way.table
                and way.table["oid"] in found
                and table["columns"].get(way.column, {}).get("filled")
                and is_closed(way.table, found)
            ]
            if usable:
                step[table["oid"]] = min(usable, key=lambda way: (way.column not in NAMED, way.column))
        known = found | step
        step |= {t["oid"]: known[t["parent"]] for t in tables if t["oid"] not in found and t["parent"] in known}
        if not step:
            return found
        found |= step


def is_closed(table: Table | None, found: Mapping[int, Way]) -> bool:
    """Tell whether every row of a table belongs to one clinic, so that no row is shared by all."""
    while table is not None:
        way = found[table["oid"]]
        if not table["columns"][way.column]["filled"]:
            return False
        table = way.table
    return True


def grown(found: set[int], more: Callable[[set[int]], set[int]]) -> set[int]:
    """Return the closure of oids under `more`."""
    while step := more(found) - found:
        found = found | step
    return found


def patient_tables(tables: Sequence[Table]) -> set[int]:
    """Return the oids of the tables with rows of single patients, including the patients themselves."""
    return grown(
        {table["oid"] for table in tables if table["name"] in NAMED.values()},
        lambda found: {
            table["oid"]
            for table in tables
            if table["parent"] in found
            or any(column in table["columns"] for column in NAMED)
            or any(key["table"] in found and table["columns"][key["column"]]["filled"] for key in table["keys"])
        },
    )


def above(tables: Sequence[Table], found: Iterable[int]) -> set[int]:
    """Return the oids of the tables that belong to no clinic but that rows of clinics refer to: clinics, organizations.

    Foreign keys bypass row level security: deleting such a row deletes patients of every clinic below it.

    Args:
        tables: the result of TABLES.
        found: the oids of the tables that belong to a clinic.
    """
    below = {*found}
    return (
        grown(below, lambda oids: {oid for table in tables if table["oid"] in oids for oid in table["hangs_on"]})
        - below
    )


def rules_of(table: Table, way: Way, owner: str) -> dict[str, Rule]:
    """Return the rules of a table by the names of their policies.

    A table that refers to another one inherits its rule, because row level security also applies to the query below.
    Every role may read a row without a clinic; only the owner may write it.
    """
    column, other, target = way
    rules = {OWNER_POLICY: owner_rule(owner)}
    if other is not None:
        rules[CLINIC_POLICY] = Rule(
            f"(EXISTS ( SELECT FROM {printed(other['schema'])}.{printed(other['name'])} named "
            f"WHERE (named.{printed(target)} = {printed(table['name'])}.{printed(column)})))"
        )
        return rules
    rules[CLINIC_POLICY] = Rule(f"({printed(column)} = {SETTING})")
    if not table["columns"][column]["filled"]:
        rules[SHARED_POLICY] = Rule(f"({printed(column)} IS NULL)", reads=True)
    return rules


def owner_rule(owner: str) -> Rule:
    """Return the rule for the owner: migrations see all rows.

    A view or function of the owner runs as the owner, whoever calls it. So the rule checks the session user, and the
    application sees only its clinic through them, too.
    """
    member = f"( SELECT pg_has_role(SESSION_USER, '{owner}'::name, 'MEMBER'::text) AS pg_has_role)"
    return Rule(member, owner)


def protection_statements(tables: Sequence[Table], owner: str, app: str, wanted: bool) -> list[str]:
    """Return the statements that enable row level security on every table of a clinic and above it, or disable it.

    When it is disabled, tables with a policy of another author stay enabled.

    Args:
        tables: the result of TABLES.
        owner: the owner of the tables.
        app: the role of the application.
        wanted: whether to enable it.
    """
    found = ways(tables) if wanted else {}
    read_by_all = above(tables, found)
    statements = []
    for table in tables:
        if table["oid"] in found:
            rules = rules_of(table, found[table["oid"]], owner)
        elif table["oid"] in read_by_all:
            rules = {SHARED_POLICY: Rule("true", reads=True), OWNER_POLICY: owner_rule(owner)}
        else:
            rules = {}
        changes = policy_statements(table, rules)
        statements += write_statements(table, app, table["oid"] in read_by_all, changes)
        ours = [name for name in table["policies"] if name in POLICIES]
        alone = len(ours) == len(table["policies"])
        changed = {
            "ENABLE": rules and not table["enabled"],
            "FORCE": rules and not table["forced"],
            "NO FORCE": not rules and ours and table["forced"],
            "DISABLE": not rules and ours and table["enabled"] and alone,
        }
        words = [f"{word} ROW LEVEL SECURITY" for word, needed in changed.items() if needed]
        if words:
            statements.append(f"ALTER TABLE {place(table)} {', '.join(words)}")
    return statements


def write_statements(table: Table, app: str, closed: bool, changes: Sequence[str]) -> list[str]:
    """Return `changes` and the statements that revoke the application's write privileges, or grant them again.

    The policies already let only the owner write. Without the privilege, the application gets an error (42501) instead
    of silently changing no row. The comment on the policy lists the revoked privileges, also in a restored copy.

    Args:
        table: an entry of TABLES.
        app: the role of the application.
        closed: whether the application may only read.
        changes: what `policy_statements` returned.
    """
    note = table["policies"].get(SHARED_POLICY, {}).get("note") or ""
    taken = [word for word in WRITES if word in note.partition(NOTE)[2].split(", ")]
    if not closed:
        return [f"GRANT {', '.join(taken)} ON TABLE {place(table)} TO {identifier(app)}"] * bool(taken) + [*changes]
    has = [word for word in WRITES if word in table["written"]]
    wanted = NOTE + ", ".join(word for word in WRITES if word in {*taken, *has})
    statements = [*changes]
    if has:
        statements.append(f"REVOKE {', '.join(has)} ON TABLE {place(table)} FROM {identifier(app)}")
    if wanted != NOTE and (wanted != note or any(f" POLICY {SHARED_POLICY} " in change for change in changes)):
        statements.append(f"COMMENT ON POLICY {SHARED_POLICY} ON {place(table)} IS '{wanted}'")
    return statements


def policy_statements(table: Table, rules: Mapping[str, Rule]) -> list[str]:
    """Return the statements that make our policies of one table match the rules."""
    statements = []
    for name in POLICIES:
        has, rule = table["policies"].get(name), rules.get(name)
        if has and rule and is_as_wanted(has, rule):
            continue
        if has:
            statements.append(f"DROP POLICY {name} ON {place(table)}")
        if rule:
            what = " FOR SELECT" * rule.reads + (f" TO {identifier(rule.role)}" if rule.role else "")
            check = "" if rule.reads else f" WITH CHECK ({rule.condition})"
            statements.append(f"CREATE POLICY {name} ON {place(table)}{what} USING ({rule.condition}){check}")
    return statements


def is_as_wanted(policy: Mapping[str, Any], rule: Rule) -> bool:
    """Tell whether a policy equals the one that we would create."""
    return (
        policy["command"] == ("r" if rule.reads else "*")
        and policy["permissive"]
        and policy["roles"] == [rule.role]
        and " ".join(policy["using"].split()) == rule.condition
        and " ".join((policy["check"] or "").split()) == ("" if rule.reads else rule.condition)
    )


def audit_statements(tables: Sequence[Table], role: str, wanted: bool) -> list[str]:
    """Return the statements that let pgaudit log reads of patients' tables only, by the privileges of a role."""
    found = patient_tables(tables) if wanted else set()
    statements = []
    for words, whom, chosen in (
        ("GRANT", "TO", [table for table in tables if table["oid"] in found and not table["audited"]]),
        ("REVOKE", "FROM", [table for table in tables if table["oid"] not in found and table["audited"]]),
    ):
        if chosen:
            names = ", ".join(map(place, chosen))
            statements.append(f"{words} SELECT ON TABLE {names} {whom} {identifier(role)}")
    return statements
