"""What the JSON object of every command says beside its result: when, where, by which version, and on what.

A command notes what it knows as soon as it knows it, so that a failure is as well described as a success.
"""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pregen import __version__, clock

if TYPE_CHECKING:
    from storage.commits import Commit


@dataclass(slots=True)
class Account:
    """What is known of a command while it works.

    Attributes:
        started_at: when it began.
        configuration: the file that it was given.
        store: the address of the store that it works on.
        as_of: for which instant the snapshot, or what is published, is complete.
        commit: number of the commit that it made or looked at.
        is_plugin: whether it ends as monitoring plugins do.
        done: what it has done that outlives it though it should fail, as a sentence; None: nothing.
    """

    started_at: datetime = field(default_factory=clock.now)
    configuration: Path | None = None
    store: str | None = None
    as_of: datetime | None = None
    commit: int | None = None
    is_plugin: bool = False
    done: str | None = None

    def note_as_of(self, as_of: datetime) -> None:
        """Note for which instant a snapshot is complete."""
        self.as_of = as_of

    def note_commit(self, commit: "Commit") -> None:
        """Note which commit is looked at."""
        self.commit, self.as_of = commit.number, clock.instant(commit.as_of)

    def members(self) -> dict[str, object]:
        """Return the members of the JSON object, as they are at the end of the command."""
        return {
            "started_at": clock.text(self.started_at),
            "finished_at": clock.text(clock.now()),
            "version": __version__,
            "host": os.uname().nodename,
            "configuration": None if self.configuration is None else str(self.configuration.absolute()),
            "store": self.store,
            "as_of": None if self.as_of is None else clock.text(self.as_of),
            "commit": self.commit,
        }
