# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names the statements with an effect outside of the database in which they run.

They change shared objects of the server (roles, settings of databases, tablespaces), or something outside of the
server. They must never run in a copy of the database, because they would affect the real one. No parser can tell the
effects of a function or a DO block; files/apply.sql checks the shared catalogs for these.
"""

from __future__ import annotations

from typing import Any

from pglast import ast, enums
from pglast.visitors import Visitor

_KIND = enums.ObjectType
_SHARED = {_KIND[f"OBJECT_{name}"]: name for name in ("DATABASE", "ROLE", "SUBSCRIPTION", "TABLESPACE")}
_ALWAYS = {
    getattr(ast, f"{name}Stmt"): words
    for words, names in {
        "ALTER DATABASE": ("AlterDatabase", "AlterDatabaseRefreshColl", "AlterDatabaseSet"),
        "ALTER ROLE": ("AlterRole", "AlterRoleSet"),
        "ALTER SUBSCRIPTION": ("AlterSubscription",),
        "ALTER SYSTEM": ("AlterSystem",),
        "ALTER TABLESPACE": ("AlterTableSpaceOptions",),
        "CREATE DATABASE": ("Createdb",),
        "CREATE ROLE": ("CreateRole",),
        "CREATE SUBSCRIPTION": ("CreateSubscription",),
        "CREATE TABLESPACE": ("CreateTableSpace",),
        "DROP DATABASE": ("Dropdb",),
        "DROP OWNED": ("DropOwned",),
        "DROP ROLE": ("DropRole",),
        "DROP SUBSCRIPTION": ("DropSubscription",),
        "DROP TABLESPACE": ("DropTableSpace",),
        "REASSIGN OWNED": ("ReassignOwned",),
    }.items()
    for name in names
}
# Statements that do so where their object, in the named attribute, is a shared one.
_SOMETIMES = {
    ast.AlterOwnerStmt: ("objectType", "ALTER"),
    ast.CommentStmt: ("objtype", "COMMENT ON"),
    ast.RenameStmt: ("renameType", "ALTER"),
    ast.SecLabelStmt: ("objtype", "SECURITY LABEL ON"),
}


def leaves(node: Any) -> str:
    """Return the effect of a statement outside of its database, in a few words; empty where it has none."""
    gives = "GRANT" if getattr(node, "is_grant", False) else "REVOKE"
    words = _ALWAYS.get(type(node), "")
    if type(node) in _SOMETIMES:
        attribute, does = _SOMETIMES[type(node)]
        words = f"{does} {_SHARED[kind]}" if (kind := getattr(node, attribute)) in _SHARED else ""
    elif isinstance(node, ast.CopyStmt) and node.is_program:
        words = f"COPY {'FROM' if node.is_from else 'TO'} PROGRAM"
    elif isinstance(node, ast.CopyStmt) and node.filename and not node.is_from:
        words = "COPY TO a file"
    elif isinstance(node, ast.GrantRoleStmt):
        words = f"{gives} of a role"
    elif isinstance(node, ast.GrantStmt) and node.objtype in {*_SHARED, _KIND.OBJECT_PARAMETER_ACL}:
        words = f"{gives} ON {_SHARED.get(node.objtype, 'PARAMETER')}"
    return words


class _Roles(Visitor):  # type: ignore[misc]  # pglast has no types
    """Collects the names of roles in a statement."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def visit_RoleSpec(self, _ancestors: Any, node: Any) -> None:  # noqa: N802 - the name of the node
        self.names.add(node.rolename or "")


def roles(node: Any) -> tuple[str, ...]:
    """Return the names of the roles that a statement creates or names, in order."""
    found = _Roles()
    found(node)
    if isinstance(node, ast.CreateRoleStmt):
        found.names.add(node.role)
    elif isinstance(node, ast.RenameStmt) and node.renameType == _KIND.OBJECT_ROLE:
        found.names.add(node.newname)
    return tuple(sorted(found.names - {""}))
