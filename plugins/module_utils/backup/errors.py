# Copyright: PhysioFlow contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors that are shown to the user unchanged."""

from __future__ import annotations


class BackupError(Exception):
    """A failure with its cause, the state, and the next step."""


def os_words(error: OSError) -> str:
    """Return the message of the operating system, with the file if any."""
    return f"{error.strerror}{f' ({error.filename})' if error.filename else ''}"


class ServerError(BackupError):
    """A statement that the server refused."""

    def __init__(self, state: str, words: str) -> None:
        """Remember the SQLSTATE.

        Args:
            state: SQLSTATE.
            words: first line of the server's message, without row values.
        """
        super().__init__(f"[{state}] {words}")
        self.state = state


class UnrestorableError(BackupError):
    """PostgreSQL itself cannot restore the dump, nor any other backup of the same database."""


class DamagedError(BackupError):
    """A file of a backup differs from the file that was written."""


class NoRepositoryError(BackupError):
    """The location of the repository is reachable, but holds no repository yet."""
