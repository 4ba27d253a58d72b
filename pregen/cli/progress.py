"""Progress of long work, on stderr: a bar with rate and time left on a terminal, else a plain line now and then."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Task as RichTask
from rich.text import Text

from pregen.generation import Progress as Show

LINE_EVERY_S = 10.0


class _Rate(TextColumn):
    """Rows a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: RichTask) -> Text:
        """Return the column's text."""
        return Text(f"{task.speed or 0:,.0f}/s")


@contextlib.contextmanager
def progress() -> Iterator[Show]:
    """Give a function that takes the name of a step, how many rows are done, and of how many."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description:<5}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step)
            bars.update(tasks[step], completed=done, total=total)

        yield show


class _Lines:
    """A plain line every few seconds, so that a log shows that work goes on."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said < LINE_EVERY_S:
            return
        self._said = now
        sys.stderr.write(f"{step}: {done:,} of about {total:,} rows after {now - self._started:.0f} s\n")
