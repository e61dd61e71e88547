# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option with the server connection: a dictionary of the options that community.postgresql takes."""

from __future__ import annotations

import yaml
from ansible_collections.community.postgresql.plugins.doc_fragments.postgres import ModuleDocFragment as Community


def _option(name: str, description: str, **more: bool) -> str:
    """Return the documentation of one such option."""
    suboptions = yaml.safe_load(Community.DOCUMENTATION)["options"]
    for option in suboptions.values():
        option.pop("version_added", None)  # a version of that collection
    return yaml.safe_dump(
        {"options": {name: {"description": description, "type": "dict", "suboptions": suboptions, **more}}}
    )


class ModuleDocFragment:
    """The option as most modules have it; `required` is for modules that need a server."""

    DOCUMENTATION = _option(
        "connection",
        "How to reach the server. Omitted if the server does not exist yet (in check mode only).",
    )
    REQUIRED = _option("connection", "How to reach the server.", required=True)
    ADMINISTRATOR = _option(
        "administrator", "How to reach the server as a role that can let the role of O(connection) read large objects."
    )
