"""The reader of ORC in a process of its own: requests come by a pipe, and go back part by part.

A part that takes too long ends it (SIGALRM), even in native code. Where memory runs out, the kernel is asked to end it,
and not the process that asks it.
"""

import contextlib
import importlib.resources
import os
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc
from multiprocess.connection import Connection

from pregen.errors import InputError
from pregen.snapshot.files.apart import ReadRequest
from pregen.snapshot.files.base import AS_OF_KEY, is_damage, slices, text_of_metadata, unusable, within
from pregen.snapshot.files.orc_tail import is_encrypted
from pregen.snapshot.files.sources import reading

_WINDOW_BYTES = 256 << 10  # its streams are small, and lie beside each other


class OrcFooter(NamedTuple):
    """What is known of a file before its rows.

    The schema is serialized: a damaged one has names that are no UTF-8, which only octets bring home.
    """

    schema: pa.Buffer
    as_of: str | None
    rows: int


def main(pipe: int) -> int:
    """Answer requests until nobody asks any more, or one cannot be answered."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks gets it too
    # Zones are looked up in files, even GMT: the package's, and never the machine's.
    os.environ["TZDIR"] = str(importlib.resources.files("tzdata") / "zoneinfo")
    with contextlib.suppress(OSError):  # another system than Linux
        Path("/proc/self/oom_score_adj").write_text("1000")
    connection = Connection(pipe)
    with contextlib.suppress(EOFError, OSError):
        while True:
            request: ReadRequest = connection.recv()
            for part in _told(request):
                signal.alarm(0)  # who asks may take their time
                connection.send(part)
                signal.alarm(request.patience_s)
            signal.alarm(0)
    return 0


def _told(request: ReadRequest) -> Iterator[Any]:
    """Yield the parts of an answer, and what ends it: None, or an exception."""
    signal.alarm(request.patience_s)
    try:
        yield from _answer(request)
    except MemoryError:
        what = "a part of it takes more memory than there is: it is damaged, or its stripes are to be exported smaller"
        yield unusable("file.damaged", request.source.location, what)
    except InputError as error:
        yield error
    except Exception as error:  # noqa: BLE001 whatever it is, who asked raises it
        error.add_note(traceback.format_exc())
        yield error
    else:
        yield None


def _answer(request: ReadRequest) -> Iterator[OrcFooter | tuple[pa.Buffer, pa.Buffer]]:
    """Yield the footer, or schema and octets of each batch."""
    with reading(request.source, _WINDOW_BYTES) as file:
        opened = pyarrow.orc.ORCFile(file)
        tail: bytes = opened.reader.serialized_file_tail()  # type: ignore[assignment] # which its stubs take for a number
        if is_encrypted(tail):
            what = (
                "it is encrypted, wholly or in some columns, and who has no key reads other values in their place: "
                "export it without encryption"
            )
            raise unusable("file.encrypted", request.source.location, what)
        if request.names is None:
            yield OrcFooter(opened.schema.serialize(), text_of_metadata(opened.metadata.get(AS_OF_KEY)), opened.nrows)
            return
        for number in range(opened.nstripes):
            with within(f"stripe {number + 1:,}"):
                for part in slices(_stripe(opened, number, request.names)):
                    yield part.schema.serialize(), part.serialize()


def _stripe(opened: pyarrow.orc.ORCFile, number: int, names: list[str]) -> pa.RecordBatch:
    try:
        return opened.read_stripe(number, columns=names).select(names)
    except (pa.ArrowException, OSError) as error:
        if is_damage(error):
            for name in names:  # which one is it?
                with within(f"column {name!r}"):
                    opened.read_stripe(number, columns=[name])
        raise
