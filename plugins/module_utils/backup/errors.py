# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The failures that are told to the user as they stand."""

from __future__ import annotations


class BackupError(Exception):
    """What failed, why, in which state everything is, and what to do next."""


def os_words(error: OSError) -> str:
    """Return what the operating system said, with the file where there is one."""
    return f"{error.strerror}{f' ({error.filename})' if error.filename else ''}"


class ServerError(BackupError):
    """What the server refused."""

    def __init__(self, state: str, words: str) -> None:
        """Remember the SQLSTATE.

        Args:
            state: SQLSTATE.
            words: first line of the server's message, without values of rows.
        """
        super().__init__(f"[{state}] {words}")
        self.state = state


class UnrestorableError(BackupError):
    """PostgreSQL itself cannot restore what was dumped, and no other backup of the same database can be."""


class DamagedError(BackupError):
    """A file of a backup is not what was written."""


class NoRepositoryError(BackupError):
    """The place of a repository is reached, and there is none yet."""
