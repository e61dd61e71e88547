"""`make docs`: the pages and the reference as a site, which asks no other host for anything."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from tests.local import ROOT, environment

PAGES = [path.relative_to(ROOT) for path in (*ROOT.glob("[A-Z]*.md"), *ROOT.glob("docs/**/*.md"))]


def test_the_site_has_each_page_and_each_spec_and_needs_no_other_host(tmp_path: Path) -> None:
    command = ["make", "-s", "docs", f"SITE={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Documentation built" in done.stderr
    site = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.html")}

    fetched = r"<(?!a\b)[^>]*\b(?:src|href|data)=[\"']?((?:https?:)?//[^\"'> ]+)"
    assert {name: found for name, text in site.items() if (found := re.findall(fetched, text))} == {}
    styles = "".join(path.read_text() for path in tmp_path.rglob("*.css"))
    assert "@media" in styles
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//\S+", styles) == []
    assert [name for name, text in site.items() if 'class="mermaid"' in text] == []  # its script is not in the theme
    assert 'src="docs/iframe-worker.js"' in site["index.html"]
    assert "backup_keep" in (tmp_path / "search/search_index.js").read_text()

    navigation = re.findall(r"<nav.*<article", site["index.html"], re.DOTALL)
    linked = {*re.findall(r'href="([^"]+)"', navigation[0]), "README.html"}  # that is index.html
    assert {str(page.with_suffix(".html")) for page in PAGES} - linked == set()
    assert (tmp_path / "docs/security_exceptions.yml").is_file()

    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        page = site[f"roles/{path.parts[-3]}/index.html"]
        entries = yaml.safe_load(path.read_text())["argument_specs"]
        named = {*entries, *(name for spec in entries.values() for name in spec.get("options", {}))}
        assert {name for name in named if f"<code>{name}</code>" not in page} == set(), path
    for path in (path for kind in ("modules", "lookup", "callback") for path in ROOT.glob(f"plugins/{kind}/*.py")):
        page = site[f"plugins/{path.parent.name}/{path.stem}.html"]
        doc = yaml.safe_load(path.read_text().split('"""')[3])
        assert doc["short_description"] in page
        assert {name for name in doc.get("options", {}) if f"<code>{name}</code>" not in page} == set(), path
