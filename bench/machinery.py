"""What runs in processes of its own for thousand_million.py, and imports Pregen: see there how they are started.

A command whose shards want one row each, and a client that has the index of all rows that wait. Each writes what was
counted to a file.
"""

import functools
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.loading import memory_mib
from pregen.__main__ import main
from pregen.generation.rows import sharding
from pregen.generation.rows.bucket import StoreSpool
from pregen.generation.rows.parts import SpooledPart, part_rows, pieces_of
from storage.stores import LocalStore, StoreAddress

STORE_CALLS = ("put", "put_if_absent", "get", "get_range", "exists")
_Called = TypeVar("_Called", bound=Callable[..., object])


def run_pregen(told: str, *words: str) -> None:
    """Run a command whose shards want one row each; write how often it called its store."""
    sharding.SHARD_ROWS = 1
    calls = Counter[str]()
    for name in STORE_CALLS:
        setattr(LocalStore, name, _counting(calls, name, getattr(LocalStore, name)))
    code = main(words)
    Path(told).write_text(json.dumps(calls))
    sys.exit(code)


def _counting(calls: Counter[str], name: str, method: _Called) -> Callable[..., object]:
    @functools.wraps(method)
    def counted(*arguments: object, **options: object) -> object:
        calls[name] += 1
        return method(*arguments, **options)

    return counted


def hold_index(told: str, rows: str, shards: str) -> None:
    """Make the index of so many rows that wait in a store; write what it takes, and at its making, in MiB."""
    count, spool, before = int(shards), StoreSpool(StoreAddress("file:///nowhere"), ""), memory_mib()
    parts = -(-int(rows) // part_rows(int(rows), count))
    each = np.full(count, int(rows) // count // parts, np.uint32)
    sums = np.full(count, b"sum", np.dtype((np.void, spool.checksum.size_bytes)))
    # Each part comes home with columns of its own, which are there until all of them are put together.
    came = [SpooledPart(f"{one:016x}", each.copy(), sums.copy()) for one in range(parts)]
    index = pieces_of(spool, came, count)
    del came
    held = {"mib": memory_mib() - before, "peak_mib": memory_mib("VmHWM") - before, "parts": parts}
    Path(told).write_text(json.dumps({**held, "pieces": len(index) * parts}))
