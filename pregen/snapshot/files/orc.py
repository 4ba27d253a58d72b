"""ORC: stripes are decoded one by one, and of each only the columns that are asked for.

A `timestamp with local time zone` is an instant. A `timestamp` is what a clock showed where it was written, whatever
zone the file names for its writer: it needs a declared zone, as it does in other formats. The reader holds both in
nanoseconds, from 1677 to 2262, and refuses what lies beyond. It looks zones up in files, even GMT: in those of the
tzdata package, unless TZDIR says otherwise.
"""

import importlib.resources
import os
from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.orc

from pregen.snapshot.files.base import AS_OF_KEY, is_damage, slices, text_of_metadata, within
from pregen.snapshot.files.sources import Source, reading

MAGIC = b"ORC"
_WINDOW_BYTES = 256 << 10  # its streams are small, and lie beside each other


class OrcFile:
    """A file of which only the streams of the needed columns are read."""

    unit: Literal["row"] = "row"

    def __init__(self, source: Source) -> None:
        """Read its footer."""
        self._source = source
        self.path = source.location
        with reading(source, _WINDOW_BYTES) as file:
            opened = _open(file)
            self.schema = opened.schema
            self.as_of = text_of_metadata(opened.metadata.get(AS_OF_KEY))
            self.row_estimate = opened.nrows

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        del categories
        with reading(self._source, _WINDOW_BYTES) as file:
            opened = _open(file)
            for number in range(opened.nstripes):
                try:
                    batch = opened.read_stripe(number, columns=list(names)).select(list(names))
                except (pa.ArrowException, OSError) as error:
                    if is_damage(error):
                        _find_damage(opened, number, names)
                    raise
                with within(f"stripe {number + 1:,}"):
                    yield from slices(batch)


def _open(file: pa.NativeFile) -> pyarrow.orc.ORCFile:
    os.environ.setdefault("TZDIR", str(importlib.resources.files("tzdata") / "zoneinfo"))
    return pyarrow.orc.ORCFile(file)


def _find_damage(opened: pyarrow.orc.ORCFile, number: int, names: Sequence[str]) -> None:
    """Read the columns of a stripe one by one.

    Raises:
        pa.ArrowInvalid: one is damaged; the text says which.
    """
    for name in names:
        with within(f"stripe {number + 1:,}, column {name!r}"):
            opened.read_stripe(number, columns=[name])
