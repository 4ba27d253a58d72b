"""Which state of this project was measured, as git knows it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Revision:
    """A state of the project.

    Attributes:
        commit: its name.
        dirty: files of it were changed since.
    """

    commit: str
    dirty: bool

    def __str__(self) -> str:
        """Return it for people.

        >>> str(Revision("f0a44263b1", dirty=True))
        'f0a44263b1 with changes'
        """
        return f"{self.commit}{' with changes' * self.dirty}"


def revision_of(folder: Path = ROOT) -> Revision | None:
    """Return the revision of a checkout; None where the folder is not the top of one, or git is missing."""
    prefix, _, commit = (_git(folder, "rev-parse", "--show-prefix", "HEAD") or "").partition("\n")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    # A prefix: the folder lies within someone else's checkout.
    return None if prefix or not commit or changes is None else Revision(commit.strip(), bool(changes))


def _git(folder: Path, *words: str) -> str | None:
    command = ("git", "--no-optional-locks", "-C", str(folder), *words)  # `status` would write the index
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our words
    except (OSError, subprocess.CalledProcessError):
        return None
