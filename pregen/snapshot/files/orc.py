"""ORC: stripes are decoded one by one, and of each only the columns that are asked for.

A `timestamp with local time zone` is an instant. A `timestamp` is what a clock showed where it was written, whatever
zone the file names for its writer: it needs a declared zone, as it does in other formats. The reader holds both in
nanoseconds, from 1677 to 2262, and refuses what lies beyond.

ORC has no checksums, and a single flipped bit can make its reader abort the process or never return (measured, Arrow
26). So it works in a process of its own (`orc_child.py`), whose end is an error about the file, and no more.
"""

import io
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import pyarrow as pa

from pregen.errors import InputError
from pregen.snapshot.files.base import is_damage, slices, unusable, within
from pregen.snapshot.files.orc_child import Footer, Request
from pregen.snapshot.files.sources import Source

MAGIC = b"ORC"
_PROGRAM = "import sys; from pregen.snapshot.files.orc_child import main; sys.exit(main(*map(int, sys.argv[1:])))"
PATIENCE_S = 120  # for one stripe, of 64 MiB mostly


class OrcFile:
    """A file of which only the streams of the needed columns are read."""

    unit: Literal["row"] = "row"

    def __init__(self, source: Source, patience_s: int = PATIENCE_S) -> None:
        """Read its footer; a stripe that takes longer than `patience_s` is damaged."""
        self._source = source
        self._patience_s = patience_s
        self.path = source.location
        with self._apart(None) as file:
            footer: Footer = pickle.load(file)  # noqa: S301 our own program wrote it
        self.schema, self.as_of, self.row_estimate = footer

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        del categories
        with self._apart(list(names)) as file, pa.ipc.open_stream(file) as reader:
            for number, batch in enumerate(reader, 1):
                with within(f"stripe {number:,}"):
                    yield from slices(batch)

    @contextmanager
    def _apart(self, names: list[str] | None) -> Iterator[io.BufferedReader]:
        """Start the reader, yield what it writes, and end it.

        Raises:
            InputError: the file cannot be read, is damaged, or ended its reader.
        """
        data, data_end = os.pipe()
        errors, errors_end = os.pipe()
        command = [sys.executable, "-P", "-c", _PROGRAM, str(data_end), str(errors_end)]
        with os.fdopen(data, "rb") as file, os.fdopen(errors, "rb") as said:
            child = subprocess.Popen(  # noqa: S603 our own program
                command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(data_end, errors_end)
            )
            os.close(data_end)
            os.close(errors_end)
            try:
                assert child.stdin is not None
                with child.stdin:
                    child.stdin.write(pickle.dumps(Request(self._source, names, self._patience_s)))
                yield file
                if child.wait():  # what came may look whole: the stream is ended by an error as well
                    raise EOFError(f"the reader of ORC ended with {child.returncode}")  # noqa: TRY301 it is judged below
            except (pa.ArrowException, OSError, EOFError, pickle.UnpicklingError) as error:
                ended = child.wait()
                if (text := said.read()) and isinstance(found := pickle.loads(text), InputError):  # noqa: S301
                    raise found from error
                if ended < 0:
                    raise self._dead(-ended) from error
                if isinstance(error, (pa.ArrowException, OSError)) and is_damage(error):
                    what = f"it is damaged or cut off ({' '.join(str(error).split())}): export it again"
                    raise unusable("file.damaged", self.path, what) from error
                raise
            finally:
                child.kill()
                child.wait()

    def _dead(self, number: int) -> InputError:
        what = f"its reader was ended by {signal.Signals(number).name}"
        if number == signal.SIGALRM:
            what = f"its reader did not come to an end of a stripe within {self._patience_s} s"
        return unusable("file.damaged", self.path, f"it is damaged ({what}): export it again")
