"""A real browser without a screen: opens a page, and says what it showed, asked for and complained about."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.backups import give_up
from tests.hosts.system import HostsError, is_debian, locked, need

PROGRAMS = ("chromium", "google-chrome", "chromium-browser")
DARK, LIGHT = "dark", "light"
PHONE, DESK = 375, 1280  # pixels
AA = 4.5  # contrast of text, by WCAG 2.2

# The page stands in a frame of the wanted width, as it may run no script of its own. Looks in each language.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,">
<iframe src="/page" width="{width}" height="2000" style="border: 0"></iframe><pre id="seen"></pre>
<script>
const number = color => color.match(/[\\d.]+/g).map(Number);
const light = color => number(color).slice(0, 3).map(part => part / 255)
  .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
function ground(element) {{
  for (; element; element = element.parentElement) {{
    const color = element.ownerDocument.defaultView.getComputedStyle(element).backgroundColor;
    if (number(color)[3] !== 0) return color;
  }}
  return "rgb(255, 255, 255)";
}}
function pale(page) {{
  const found = [];
  for (const element of page.querySelectorAll("body *")) {{
    const text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const style = page.defaultView.getComputedStyle(element);
    if (!text || !element.getClientRects().length) continue;
    const pair = [element.closest("svg") ? style.fill : style.color, ground(element)].map(light).sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < {aa}) found.push(contrast.toFixed(2) + " " + element.textContent.trim());
  }}
  return found;
}}
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const seen = {{}};
  for (const language of ["en", "vi"]) {{
    page.getElementById("language-" + language).click();
    page.querySelectorAll("details").forEach(details => details.open = true);
    seen[language] = {{
      text: page.body.innerText, pale: pale(page), ground: ground(page.body),
      too_wide: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      cut: [...page.querySelectorAll(".page svg")].filter(svg => svg.getClientRects().length).flatMap(svg =>
        [...svg.querySelectorAll("text")].filter(text => {{
          const box = text.getBoundingClientRect(), all = svg.getBoundingClientRect();
          return box.left < all.left - 1 || box.right > all.right + 1;
        }}).map(text => text.textContent)),
    }};
  }}
  document.getElementById("seen").textContent = JSON.stringify(seen);
}});
</script>"""


@dataclass(frozen=True)
class Seen:
    """What a browser showed of a page.

    Attributes:
        languages: for each its visible text, the colour of the ground, the text that is too pale on it, by how many
            pixels the page is too wide, and what charts cut off.
        complaints: what it wrote to its console.
        requests: the paths it asked for, of this page and of anything else on the server.
    """

    languages: dict[str, dict[str, Any]]
    complaints: list[str]
    requests: list[str]


class Browser:
    """Chromium, driven by its command line."""

    def __init__(self, program: str, folder: Path) -> None:
        """Take the program and a folder for its profile."""
        self.command = [
            program,
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # it refuses root with one
        ]

    def look(self, page: Path, width: int = DESK, scheme: str = LIGHT) -> Seen:
        """Open a page in a frame of some width."""
        frame = FRAME.format(width=width, aa=AA)
        with _served({"/frame": frame.encode(), "/page": page.read_bytes()}) as (address, requests):
            done = self._run(scheme, "--window-size=1400,2200", "--dump-dom", f"{address}/frame")
        seen = re.search(r'<pre id="seen">(.+?)</pre>', done.stdout, re.DOTALL)
        assert seen, done.stdout[-2000:] + done.stderr
        complaints = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return Seen(json.loads(html.unescape(seen[1])), complaints, requests)

    def picture(self, page: Path, to: Path, width: int = DESK, height: int = 1600, scheme: str = LIGHT) -> bytes:
        """Keep a picture of a page, and return it."""
        to.parent.mkdir(parents=True, exist_ok=True)
        self._run(scheme, f"--window-size={width},{height}", f"--screenshot={to}", page.as_uri())
        return to.read_bytes()

    def _run(self, scheme: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        preferred = f"--blink-settings=preferredColorScheme={0 if scheme == DARK else 1}"
        done = subprocess.run(
            [*self.command, preferred, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done


def browser(folder: Path) -> Browser:
    """Return a browser; where there is none and root is on Debian it is installed, elsewhere the test gives up."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        if os.geteuid() != 0 or not is_debian():
            give_up("there is no Chromium, and it is installed here only by root on Debian: install chromium")
        try:
            with locked("chromium"):
                need("chromium", "chromium", "fonts-dejavu-core")
        except HostsError as error:
            give_up(f"Chromium cannot be installed: {error}")
        program = "chromium"
    return Browser(program, folder)


@contextmanager
def _served(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve some files, and note what is asked for."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            content = files.get(self.path)
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Take a picture of a page for the docs."""
    page, picture = (Path(name).absolute() for name in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        browser(Path(folder)).picture(page, picture, width=1180, height=1300)


if __name__ == "__main__":
    main()
