"""Who runs a command that commits, and what for: `--by NAME --note TEXT`, which are kept with the commit."""

import os
import pwd
from typing import NamedTuple

from pregen.errors import UsageError

MAX_NOTE = 1_000  # characters: it is kept in the commit, which every edge reads
MAX_NAME = 100


class Author(NamedTuple):
    """Who runs a command, and what for; None: nobody says."""

    by: str
    note: str | None = None


def read_author(by: str | None, note: str | None) -> Author:
    """Return who a command is run by, and what for.

    Args:
        by: of `--by`; None: whoever runs this process.
        note: of `--note`.

    Raises:
        UsageError: one of them is empty or too long.
    """
    check_name(by)
    if note is not None and not note.strip():
        raise UsageError("--note is empty: say what this is for, or leave it out")
    if note is not None and len(note) > MAX_NOTE:
        raise UsageError(f"--note has {len(note):,} characters: {MAX_NOTE:,} are kept, name a ticket instead")
    return Author(system_user() if by is None else by.strip(), None if note is None else note.strip())


def check_name(by: str | None) -> None:
    """Refuse what is no name.

    Raises:
        UsageError: it is empty or too long.
    """
    if by is not None and not by.strip():
        raise UsageError("--by is empty: say who does this, or leave it out")
    if by is not None and len(by) > MAX_NAME:
        raise UsageError(f"--by has {len(by):,} characters: {MAX_NAME} are kept")


def system_user() -> str:
    """Return who runs this process: behind sudo, who called it; else as the operating system names the user."""
    if caller := os.environ.get("SUDO_USER", "").strip()[:MAX_NAME]:
        return caller
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container that knows no names
        return str(number)
