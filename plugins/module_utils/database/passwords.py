# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds passwords that are easy to guess. Its messages never hold a password.

The rules are those of NIST SP 800-63B-4, section 3.1.1.2: at least 15 characters where the password is the only factor,
as it is for a database role; no common words and no names of the service; no rule about kinds of characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SHORTEST = 15
FEWEST_KINDS = 5  # different characters; fewer are a keyboard pattern, not a secret
LEAST_LEFT = 8  # characters that must remain without the words below
# Examples of this project and of others, and words of common password lists.
WORDS = (
    "replace-me", "replaceme", "changeme", "change-me", "password", "passw0rd", "matkhau", "secret", "example",
    "default", "postgresql", "postgres", "physioflow", "database", "admin", "administrator", "root", "test", "demo",
    "letmein", "welcome", "qwerty", "qwertyuiop", "123456789", "12345678", "123456", "1234", "0123456789",
    "production", "staging", "clinic", "hospital",
)  # fmt: skip
SEPARATORS = " -_.,:;!/"


def password_problems(passwords: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return a sentence for each password that is refused, without the password.

    Args:
        passwords: passwords by purpose.
        names: names of the service, its roles and its database.
    """
    own = [*names]
    problems = []
    for purpose, password in passwords.items():
        if not password:
            problems.append(f"The password of {purpose} is empty.")
        elif password.casefold() in {name.casefold() for name in own}:
            problems.append(f"The password of {purpose} is the name of a role or of the database.")
        elif len(rest_of(password, own)) < LEAST_LEFT:
            problems.append(f"The password of {purpose} consists of common words.")
        elif len(password) < SHORTEST:
            problems.append(f"The password of {purpose} is shorter than {SHORTEST} characters.")
        elif len(set(password)) < FEWEST_KINDS:
            problems.append(f"The password of {purpose} has fewer than {FEWEST_KINDS} different characters.")
    same: dict[str, list[str]] = {}
    for purpose, password in passwords.items():
        if password:
            same.setdefault(password, []).append(purpose)
    problems += [
        f"The passwords of {', '.join(purposes)} are the same. Give each role its own."
        for purposes in same.values()
        if len(purposes) > 1
    ]
    return problems


def rest_of(password: str, names: Iterable[str]) -> str:
    """Return the rest of a password without common words and their separators."""
    rest = password.casefold()
    for word in sorted({*WORDS, *(name.casefold() for name in names)}, key=len, reverse=True):
        if word:
            rest = rest.replace(word, "")
    return "".join(character for character in rest if character not in SEPARATORS)
