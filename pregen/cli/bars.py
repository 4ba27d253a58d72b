"""Bars on a terminal, with rate and time left; by rich, which a run without a terminal need not load."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Task as RichTask
from rich.text import Text

from pregen.progress import Progress as Show


class _Rate(TextColumn):
    """Rows a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: RichTask) -> Text:
        """Return the column's text."""
        return Text(f"{task.speed or 0:,.0f}/s")


@contextlib.contextmanager
def bars() -> Iterator[Show]:
    """Give a function that draws a bar for each step, on stderr."""
    columns = (TextColumn("{task.description:<5}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = shown.add_task(step)
            shown.update(tasks[step], completed=done, total=total)

        yield show
