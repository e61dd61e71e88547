# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Large objects: their read privileges, and a hash of them that a restore must reproduce.

PostgreSQL 16 has no role that reads all of them: pg_read_all_data does not, and lo_compat_privileges would also let the
role that dumps write them. So a role that may grant it grants SELECT on each; the role that dumps can never write one.
"""

from __future__ import annotations

from ..sql import identifier, literal
from .database import Session
from .errors import BackupError

MOST_SHOWN = 5
AT_ONCE = 1000

# Large objects that the role of the session may not read.
_UNREADABLE = """
SELECT o.oid, o.lomowner::regrole::text AS owner, coalesce(pg_has_role({giver}, o.lomowner, 'USAGE'), false) AS ours
FROM pg_largeobject_metadata AS o
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AND NOT EXISTS (
    SELECT FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner)))
    WHERE privilege_type = 'SELECT' AND (grantee = 0 OR pg_has_role(grantee, 'USAGE')))
ORDER BY 1
"""
# Pages of zeros may be missing, but exist after a restore; neither counts.
_MEASURE = """
SELECT count(*) AS objects, coalesce(sum(hashtextextended(concat_ws(' ', o.oid, o.lomowner::regrole,
    (SELECT max(pageno::bigint * 2048 + octet_length(data)) FROM pg_largeobject WHERE loid = o.oid),
    obj_description(o.oid, 'pg_largeobject'),
    (SELECT string_agg(concat_ws(' ', grantee::regrole, privilege_type, is_grantable), ',' ORDER BY 1, grantee)
     FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner)))
     GROUP BY o.oid)), 0)::numeric), 0)::text AS facts,
    (SELECT coalesce(sum(
        hashtextextended(concat_ws(' ', loid, pageno, md5(rtrim(data, '\\x00'))), 0)::numeric), 0)::text
     FROM pg_largeobject WHERE rtrim(data, '\\x00') <> '') AS pages
FROM pg_largeobject_metadata AS o
"""


def measure_large_objects(session: Session) -> dict[str, object] | None:
    """Return number and hashes of the large objects: owners, privileges, comments and bytes; None where unreadable."""
    readable = session.row("SELECT has_table_privilege('pg_largeobject', 'SELECT') AS yes")["yes"]
    return session.row(_MEASURE) if readable else None


def permit(giver: Session, role: str) -> int:
    """Let a role read the large objects that it may not read yet, as far as the session may grant that.

    Args:
        giver: session of a superuser, of the owner, or of a member of the owner.
        role: the role that takes the backups.

    Returns:
        The number of these large objects.
    """
    name = giver.row("SELECT current_user AS name")["name"]
    query = _UNREADABLE.replace("current_user", literal(role)).replace(
        "pg_has_role(grantee", f"pg_has_role({literal(role)}, grantee"
    )
    found = [row["oid"] for row in giver.rows(query.format(giver=literal(name))) if row["ours"]]
    for begin in range(0, len(found), AT_ONCE):
        listed = ", ".join(map(str, found[begin : begin + AT_ONCE]))
        giver.execute(f"GRANT SELECT ON LARGE OBJECT {listed} TO {identifier(role)}")
    return len(found)


def refuse_unreadable(session: Session) -> None:
    """Refuse a backup if large objects cannot be read: pg_dump would fail later, without naming a remedy."""
    name = session.row("SELECT current_user AS name")["name"]
    if found := session.rows(_UNREADABLE.format(giver=literal(name))):
        listed = ", ".join(str(row["oid"]) for row in found[:MOST_SHOWN])
        owners = ", ".join(sorted({row["owner"] for row in found}))
        raise BackupError(
            f"{len(found)} large objects of {owners} cannot be read by {name}: {listed}"
            f"{' and more' if len(found) > MOST_SHOWN else ''}. Next: as their owner or a superuser, GRANT SELECT ON "
            f"LARGE OBJECT {listed} TO {identifier(name)}."
        )
