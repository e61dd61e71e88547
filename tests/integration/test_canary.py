"""No secret anywhere: passwords that are canaries, looked for in all that a deploy prints, shows and leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local import Local

CANARIES = {purpose: f"canary-of-{purpose} 'q\" $x %s đ" for purpose in ("owner", "app", "readonly", "backup")}
MARK = b"canary-of-"


def seen_in_processes() -> set[str]:
    """Return the command lines and environments of all processes in which a canary stands."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
            except OSError:  # it ended, or belongs to somebody else
                continue
            if MARK in content:
                found.add(f"{process.name}/{name}")
    return found


@pytest.mark.control("S23")
@pytest.mark.control("S24")
@pytest.mark.parametrize("broken", [{}, {"database_role_settings": {"app": {"work_mem": "much"}}}], ids=["well", "ill"])
def test_a_password_is_seen_nowhere(local: Local, database: str, tmp_path: Path, broken: dict[str, object]) -> None:
    variables = tmp_path / "passwords.yml"  # as a vault gives them: on no command line
    variables.write_text(
        "database_passwords:\n"
        + "".join(
            f"  {purpose}: !unsafe '{secret.replace(chr(39), chr(39) * 2)}'\n" for purpose, secret in CANARIES.items()
        )
    )
    # A log of statements is where a password in plain text would stay.
    local.psql("ALTER SYSTEM SET log_statement = ddl", "postgres", role="postgres")
    local.psql("SELECT pg_reload_conf()", "postgres", role="postgres")
    running = local.start(
        "deploy.yml", "-vvv", "--diff", "-e", f"@{variables}", database_name=database, migrations_target="001", **broken
    )
    seen: set[str] = set()
    statements: set[str] = set()
    try:
        while running.process.poll() is None:
            seen |= seen_in_processes()
            statements.add(
                local.psql("SELECT string_agg(query, ' ') FROM pg_stat_activity", "postgres", role="postgres")
            )
        result = running.result()
    finally:
        local.psql("ALTER SYSTEM RESET log_statement", "postgres", role="postgres")
        local.psql("SELECT pg_reload_conf()", "postgres", role="postgres")
        local.deploy()
    assert (result.status != 0) == bool(broken), result.output
    assert "canary-of-" not in result.output
    assert not seen
    assert not [text for text in statements if "canary-of-" in text]
    kept = [path for path in (local.server / "server").rglob("*") if path.is_file() and "log" in path.name]
    assert any(b"ALTER ROLE" in path.read_bytes() for path in kept), "the log is among the files that are looked at"
    kept += [path for path in Path("/tmp").glob("ansible*/**/*") if path.is_file()]
    assert not [str(path) for path in kept if MARK in path.read_bytes()]
