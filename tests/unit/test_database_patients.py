"""The role database: which tables belong to a clinic, and which policies and privileges that asks for."""

from __future__ import annotations

from typing import Any

from ansible_collections.physioflow.database.plugins.module_utils.database.patients import (
    audit_statements,
    protection_statements,
    ways,
)

NUMBERS = {
    "clinics": 1,
    "patients": 2,
    "notes": 3,
    "measures": 4,
    "measures_2026": 5,
    "templates": 6,
    "items": 7,
    "organizations": 8,
}


def table(name: str, *keys: tuple[str, str], empty: str = "", parent: str = "", **more: Any) -> dict[str, Any]:
    """A table with columns that name rows of others; the column `empty` may be null."""
    columns = {column: {"type": "uuid", "filled": column != empty} for column, _ in keys}
    return {
        "oid": NUMBERS[name],
        "schema": "public",
        "name": name,
        "parent": NUMBERS.get(parent),
        "enabled": False,
        "forced": False,
        "audited": False,
        "written": [],
        "hangs_on": [],
        "columns": columns | {"id": {"type": "uuid", "filled": True}},
        "keys": [{"column": column, "table": NUMBERS[to], "target": "id"} for column, to in keys if to],
        "policies": {},
    } | more


TABLES = [
    table("organizations"),
    table("clinics", hangs_on=[8], written=["UPDATE", "DELETE"]),
    table("patients", ("clinic_id", "clinics"), hangs_on=[1]),
    table("notes", ("patient_id", "patients")),
    table("measures", ("patient_id", "")),
    table("measures_2026", ("patient_id", ""), parent="measures"),
    table("templates", ("clinic_id", "clinics"), empty="clinic_id"),
    table("items", ("template_id", "templates")),
]


def of(name: str, statements: list[str]) -> list[str]:
    return [statement for statement in statements if f'"public"."{name}"' in statement]


def test_tables_are_found_by_column_by_key_by_name_and_by_partition() -> None:
    assert set(ways(TABLES)) == {2, 3, 4, 5, 6}, "not organizations, clinics and items"
    statements = protection_statements(TABLES, "emr", "app", True)
    assert "clinic_id = (NULLIF(current_setting" in of("patients", statements)[0]
    for name in ("notes", "measures", "measures_2026"):
        assert f"FROM public.patients named WHERE (named.id = {name}.patient_id)" in of(name, statements)[0]
    assert all("ENABLE ROW LEVEL SECURITY, FORCE" in of(name, statements)[-1] for name in ("patients", "measures"))


def test_what_is_shared_is_read_by_all_and_written_by_none() -> None:
    own, shared, *_ = of("templates", protection_statements(TABLES, "emr", "app", True))
    assert "FOR SELECT USING ((clinic_id IS NULL))" in shared
    assert "IS NULL" not in own


def test_what_clinics_hang_on_is_only_read_and_what_was_taken_for_that_is_given_back() -> None:
    taken = (
        'COMMENT ON POLICY physioflow_shared ON "public"."clinics" IS \'Taken from the application: UPDATE, DELETE\''
    )
    on = protection_statements(TABLES, "emr", "app", True)
    assert of("clinics", on)[-3:] == [
        'REVOKE UPDATE, DELETE ON TABLE "public"."clinics" FROM "app"',
        taken,
        'ALTER TABLE "public"."clinics" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    ]
    assert "FOR SELECT USING (true)" in of("organizations", on)[0]
    assert not of("items", on)
    guarded = {"physioflow_shared": {"note": "Taken from the application: UPDATE, DELETE; DROP TABLE x"}}
    off = protection_statements([table("clinics", policies=guarded)], "emr", "app", False)
    assert off[0] == 'GRANT UPDATE ON TABLE "public"."clinics" TO "app"', "only words that are privileges"


def test_off_takes_only_what_is_ours() -> None:
    ours: dict[str, Any] = {"physioflow_clinic": {}, "physioflow_owner": {}}
    guarded = table("patients", enabled=True, forced=True, policies=ours)
    assert protection_statements([guarded], "emr", "app", False)[-1].endswith(
        "NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY"
    )
    others = guarded | {"policies": ours | {"theirs": {}}}
    assert "DISABLE" not in protection_statements([others], "emr", "app", False)[-1]
    alone = guarded | {"policies": {"theirs": {}}}
    assert protection_statements([alone], "emr", "app", False) == []


def test_reads_of_patients_are_audited_and_of_nothing_else() -> None:
    (grant,) = audit_statements(TABLES, "emr_audit", True)
    assert of("notes", [grant])
    assert of("measures_2026", [grant])
    assert not of("templates", [grant])
    assert audit_statements([table("patients", audited=True)], "emr_audit", True) == []
    assert audit_statements([table("patients", audited=True)], "emr_audit", False)[0].startswith("REVOKE SELECT")
