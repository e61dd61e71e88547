# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes and compares SCRAM-SHA-256 verifiers, the form in which PostgreSQL keeps a password (RFC 5803, RFC 7677).

The server gets the verifier, never the password: a statement with a password in plain text would reach its log.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode

from ansible_collections.community.postgresql.plugins.module_utils.saslprep import saslprep

ITERATIONS = 4096  # PostgreSQL's default
VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$[^$]+")


def scram_verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """Return the verifier of a password, with a new salt unless one is given."""
    salt = salt or os.urandom(16)
    try:
        prepared = saslprep(password)
    except (ValueError, TypeError):
        prepared = password  # like PostgreSQL with passwords that SASLprep refuses
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, iterations)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown = [b64encode(part).decode() for part in (salt, client, server)]
    return f"SCRAM-SHA-256${iterations}:{shown[0]}${shown[1]}:{shown[2]}"


def is_scram_verifier_of(verifier: str, password: str) -> bool:
    """Tell whether a verifier, as in pg_authid.rolpassword, belongs to a password."""
    match = VERIFIER.fullmatch(verifier)
    if not match:
        return False
    return hmac.compare_digest(scram_verifier(password, b64decode(match[2]), int(match[1])), verifier)
