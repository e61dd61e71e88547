"""The pages as a site: a hook of MkDocs, for mkdocs.yml.

The site has the folders of the checkout, so that a link leads to the same place in both. README's table of pages is the
navigation. Each role, module and other plugin has a page with its spec.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from antsibull_docs_parser.md import md_escape, to_md
from antsibull_docs_parser.parser import Context, parse
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^():#\s]+)[#)]")


@functools.cache
def reference() -> dict[str, dict[str, str]]:
    """Return the pages made from specs, by group and path."""
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--metadata-dump", "physioflow.database"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    specs = json.loads(done.stdout)["all"]
    roles = {name.rpartition(".")[2]: spec["entry_points"] for name, spec in specs["role"].items()}
    plugins = [plugin for kind in ("module", "lookup", "callback") for plugin in specs[kind].values()]
    return {
        "Roles": {f"roles/{name}/README.md": role_page(name, entries) for name, entries in roles.items()},
        "Modules and plugins": {
            f"plugins{plugin['doc']['filename'].rpartition('/plugins')[2].replace('.py', '.md')}": plugin_page(plugin)
            for plugin in plugins
        },
    }


def role_page(name: str, entries: dict[str, Any]) -> str:
    """Return the README of a role, its entry points and its variables."""
    readme = ROOT / f"roles/{name}/README.md"
    parts = [readme.read_text() if readme.exists() else f"# {name}", "## Entry points"]
    variables: dict[tuple[str, str], list[str]] = {}  # the entry points that have the same
    for entry, spec in entries.items():
        parts += [f"{code(entry)}: {words(spec['short_description'])}. {words(spec.get('description', ''), ' ')}"]
        for option, meaning in spec.get("options", {}).items():
            variables.setdefault((option, json.dumps(meaning)), []).append(entry)
    lines = (
        row
        for (option, meaning), of in variables.items()
        for row in rows({option: json.loads(meaning)}, of if len(of) < len(entries) else [])
    )
    return "\n\n".join([*parts, "## Variables", table("variable", lines)])


def plugin_page(plugin: dict[str, Any]) -> str:
    """Return the documentation of a module or another plugin."""
    doc = plugin["doc"]
    parts = [f"# {doc.get('module') or doc['name']}", words(doc["short_description"]) + ".", words(doc["description"])]
    if doc.get("options"):
        parts += ["## Options", table("option", rows(doc["options"]))]
    if doc.get("attributes"):
        attributes = doc["attributes"].items()
        parts += ["## Attributes"]
        parts += [f"{code(name)}: {each['support']}. {words(each['description'])}" for name, each in attributes]
    if plugin["examples"]:
        parts += ["## Examples", re.sub("^", "    ", plugin["examples"].strip("\n"), flags=re.MULTILINE)]
    if plugin["return"]:
        parts += ["## Return values", table("key", rows(plugin["return"]))]
    return "\n\n".join(parts)


def table(name: str, lines: Iterable[str]) -> str:
    """Return a table of options or return values."""
    return "\n".join([f"| {name} | description |", "|---|---|", *lines])


def rows(options: dict[str, Any], of: Sequence[str] = (), before: str = "") -> Iterator[str]:
    """Return the rows of options or return values, each followed by those within it."""
    for name, spec in options.items():
        kind = spec.get("type", "str") + (f" of {spec['elements']}" if "elements" in spec else "")
        default = spec.get("default")
        notes = {
            "Choices": ", ".join(code(str(choice)) for choice in spec.get("choices", [])),
            "Default": "" if default is None else code(json.dumps(default, ensure_ascii=False)),
            "Returned": spec.get("returned"),
            "Entry points": ", ".join(map(code, of)),
        }
        told = [words(spec["description"], "<br>"), *(f"{note}: {text}" for note, text in notes.items() if text)]
        required = ", required" if spec.get("required") else ""
        shown = f'<span style="white-space: nowrap">{code(before + name)}</span>'
        yield f"| {shown}<br>{kind}{required} | {'<br>'.join(told)} |"
        within = spec.get("suboptions") or spec.get("options") or spec.get("contains") or {}
        yield from rows(within, of, f"{before}{name}.")


def words(text: str | list[str], between: str = "\n\n") -> str:
    """Return words in Ansible's markup as Markdown."""
    return to_md(parse(text, Context()), par_sep=between)


def code(text: str) -> str:
    """Return text as code; in backticks a vertical line would end the cell of a table."""
    return f"<code>{md_escape(text)}</code>"


def on_config(config: MkDocsConfig) -> None:
    """Set the navigation, and the anchors that GitHub gives to headings."""
    config.mdx_configs["toc"] = {"slugify": slugify(case="lower"), "permalink": True}
    english, vietnamese = ((ROOT / name).read_text() for name in ("README.md", "README.vi.md"))
    _, *parts = re.split(r"\| \*\*(.+)\*\* \|", english.partition("## Documentation")[2])
    config.nav = [
        "README.md",
        *({title: LINK.findall(rows)} for title, rows in zip(parts[::2], parts[1::2], strict=True)),
        *({title: list(pages)} for title, pages in reference().items()),
        {"Tiếng Việt": ["README.vi.md", *dict.fromkeys(re.findall(r"\((docs/vi/[^)#]+)", vietnamese))]},
    ]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put each page where it is in the checkout, with the files that it leads to and the reference."""
    made = {path: text for pages in reference().values() for path, text in pages.items()}
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.*"), *ROOT.glob("roles/*/README.md")]
    linked = [
        (page.parent / link).resolve()
        for page in pages
        if page.suffix == ".md"
        for link in LINK.findall(page.read_text())
    ]
    found = {str(path.relative_to(ROOT)) for path in (*pages, *linked) if path.is_file() and path.is_relative_to(ROOT)}
    return Files(
        [
            *(file for file in files if file.src_dir != config.docs_dir),  # of the theme
            *(File(name, str(ROOT), config.site_dir, config.use_directory_urls) for name in sorted(found - {*made})),
            *(File.generated(config, path, content=text) for path, text in made.items()),
        ]
    )


def on_page_markdown(markdown: str, **_: object) -> str:
    """Indent what belongs to a numbered item by four, as Python-Markdown wants it; on GitHub three do."""
    item = r"(?m)^\d\. .*\n(?:(?: {3}.*)?\n)+"
    return re.sub(item, lambda found: re.sub(r"(?m)^ {3}", "    ", found[0]) + "\n", markdown)
