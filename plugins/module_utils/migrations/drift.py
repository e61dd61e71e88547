# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the catalogs of two databases, object by object. Never looks at a row of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST = 100  # characters of a definition that is shown; a longer one is only reported as different

# Not compared: privileges belong to the role database, and the order of columns does not matter.
NOT_COMPARED = ("privileges", "default privileges", "order of columns", "user mapping", "subscription")
_WHOLE = ("table", "type", "view", "materialized view")

Object = tuple[str, str]


def differences(
    live: Mapping[Object, str], promised: Mapping[Object, str], keys: Iterable[Object]
) -> list[dict[str, Any]]:
    """Return the differences, `{kind, name, difference}`; a table on one side only stands for its parts.

    Args:
        live: the definition of each object of the database by kind and name, from `database.objects.MIGRATED`.
        promised: the same for a database that only the migrations made.
        keys: the objects that differ in more than wording, as `database.objects.differing` returns them.
    """
    found = []
    for kind, name in keys:
        one, other = live.get((kind, name)), promised.get((kind, name))
        if kind in NOT_COMPARED:
            continue
        if one is not None and other is not None:
            difference = _other(one, other)
        elif _spoken_for(kind, name, *((promised, live) if one is None else (live, promised))):
            continue
        else:
            difference = "missing" if one is None else "not in the migrations"
        found.append({"kind": kind, "name": _plain(name), "difference": difference})
    return found


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each difference."""
    return [f"{one['kind']} {one['name']}: {one['difference']}" for one in found]


def _spoken_for(kind: str, name: str, there: Mapping[Object, str], absent: Mapping[Object, str]) -> bool:
    """Tell whether an object belongs to another one that also exists on one side only."""

    def alone(one: Object) -> bool:
        return one in there and one not in absent

    if kind == "extension version":
        return alone(("extension", name))
    if kind in ("comment", "security label"):
        return any(
            alone((one, name[len(one) + 1 :])) for one in {one for one, _ in there} if name.startswith(f"{one} ")
        )
    wholes = [whole for one, whole in there if one in _WHOLE and alone((one, whole))]
    if kind == "column":
        return any(name.startswith(f"{whole}.") for whole in wholes)
    if kind == "sequence":
        return any(f" of {whole}." in there[kind, name] for whole in wholes)
    if kind in ("index", "invalid index"):
        facts = there[kind, name].partition("\n")[0] + " "
        return any(f"on {whole} " in facts for whole in wholes)
    return any(name.endswith(f" on {whole}") for whole in wholes)


def _plain(name: str) -> str:
    """Return a name without schema public, which is the default."""
    return " ".join(name.replace("public.", "").split())


def _other(live: str, promised: str) -> str:
    """Return how a definition differs, if that is short enough to show."""
    if max(len(live), len(promised)) > LONGEST:
        return "different definition"
    return f"{_plain(live) or 'nothing'}, promised {_plain(promised) or 'nothing'}"
