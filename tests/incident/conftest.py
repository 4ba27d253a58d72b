"""The incident, acted out once at small size, for all tests of it."""

import contextlib
import io
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.incident.__main__ import main

ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Story:
    """One run of `python -m tests.incident`: its folder, how it ended, what it printed."""

    folder: Path
    rows: int
    code: int
    out: str
    err: str

    def column(self, database: str, query: str) -> list[str]:
        """Return the first column of a query."""
        with closing(sqlite3.connect(self.folder / f"{database}.sqlite")) as opened:
            return [row[0] for row in opened.execute(query)]

    @property
    def lost(self) -> list[str]:
        """Serials of the API's database that the responders' lacks, in the order of issuance."""
        known = set(self.column("responder", "SELECT serial FROM certificates"))
        issued = self.column("api", "SELECT serial FROM certificates ORDER BY issued_at")
        return [serial for serial in issued if serial not in known]


def act(folder: Path, rows: int, *more: str, workers: int = 1) -> Story:
    """Act out the incident; 0 workers: as many as there are CPUs."""
    out, err = io.StringIO(), io.StringIO()
    words = ["--dir", str(folder), "--rows", str(rows), "--workers", str(workers), *more]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return Story(folder, rows, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return act(tmp_path_factory.mktemp("of a CA") / "incident", ROWS)  # with spaces that a shell would split at
