"""Progress of long work: bars on a terminal (bars.py), and nothing anywhere else.

Cron mails whatever a job says, and a log that says each night that work went on hides the night on which it did not.
"""

import contextlib
import sys
from collections.abc import Iterator

from pregen.progress import Progress


@contextlib.contextmanager
def progress(*, is_quiet: bool = False) -> Iterator[Progress]:
    """Give a function that takes the name of a step, how many rows are done, and of how many."""
    if is_quiet or sys.stderr is None or not sys.stderr.isatty():
        yield _show_nothing
        return
    from pregen.cli.bars import bars  # noqa: PLC0415 - see above

    with bars() as show:
        yield show


def _show_nothing(_step: str, _done: int, _total: int) -> None:
    pass
