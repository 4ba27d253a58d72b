"""Flipped bits of files: no reader ends this process, hangs, or raises what is no finding.

The native readers have aborted at some, without an exception. So each file is read in a process of its own, which reads
many: it says which one it is at, and whoever looks at how it has ended knows which one that was.
"""

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

PROGRAM = """
import random, signal, sys
from pathlib import Path
from pregen.errors import InputError
from pregen.snapshot.files import open_file

path, count = Path(sys.argv[1]), int(sys.argv[2])
sound, end = path.read_bytes(), len(path.read_bytes())
for number in range(count):
    some = random.Random(number)
    octets = bytearray(sound)
    for _ in range(some.choice((1, 1, 2, 4))):
        at = some.randrange(max(0, end - 1_500) if some.random() < 0.5 else 0, end)  # footers are at the end
        octets[at] ^= 1 << some.randrange(8) if some.random() < 0.8 else some.randrange(1, 256)
    path.write_bytes(octets)
    print(number, flush=True)
    signal.alarm(60)
    try:
        file = open_file(path)
        for _ in file.batches(file.schema.names):
            pass
    except InputError as error:
        assert error.findings
"""
ROWS = 300
TABLE = pa.table(
    {
        "serial": pa.array([b"%016d" % number for number in range(ROWS)]),
        "status": pa.array([number % 2 for number in range(ROWS)], pa.int8()),
        "issuer": pa.array(["r1", "r2"] * (ROWS // 2)),
        "revoked_at": pa.array([number if number % 2 else None for number in range(ROWS)], pa.timestamp("ms", "UTC")),
        "note": pa.array([f"x{number}" for number in range(ROWS)]),
    },
    metadata={"pregen.as_of": "2026-11-24T00:00:00Z"},
)
LINES = b"serial,status\n" + b"".join(b"%x,good\n" % number for number in range(1 << 12, 1 << 13))
Write = Callable[[io.BytesIO], object]


def ipc(compression: Literal["lz4", "zstd"] | None, *, stream: bool) -> Write:
    def write(out: io.BytesIO) -> None:
        table = TABLE.set_column(2, "issuer", TABLE["issuer"].dictionary_encode())
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema, options=options) as file:
            file.write_table(table, max_chunksize=100)

    return write


def delta(out: io.BytesIO) -> None:
    """Write encodings that are not the usual ones."""
    encodings = {"serial": "DELTA_BYTE_ARRAY", "note": "DELTA_LENGTH_BYTE_ARRAY", "revoked_at": "DELTA_BINARY_PACKED"}
    pq.write_table(TABLE, out, row_group_size=64, use_dictionary=False, column_encoding=encodings)


FILES: dict[str, Write] = {
    "plain.parquet": lambda out: pq.write_table(TABLE, out, compression="none"),
    "packed.parquet": lambda out: pq.write_table(TABLE, out, compression="zstd", data_page_version="2.0"),
    "delta.parquet": delta,
    "plain.arrow": ipc(None, stream=False),
    "packed.arrow": ipc("zstd", stream=False),
    "plain.ipc": ipc(None, stream=True),
    "packed.ipc": ipc("lz4", stream=True),
    "plain.orc": lambda out: pa.orc.write_table(TABLE, out, compression="UNCOMPRESSED"),
    "packed.orc": lambda out: pa.orc.write_table(TABLE, out, compression="ZSTD"),
    "day.csv": lambda out: out.write(LINES),
    "day.csv.gz": lambda out: out.write(gzip.compress(LINES, mtime=0)),
    "day.csv.zst": lambda out: out.write(pa.compress(LINES, "zstd", asbytes=True)),
}


def flip(tmp_path: Path, name: str, count: int, timeout_s: int) -> None:
    out = io.BytesIO()
    FILES[name](out)
    path = tmp_path / name
    path.write_bytes(out.getvalue())
    program = [sys.executable, "-c", PROGRAM, str(path), str(count)]

    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=timeout_s)

    last = ended.stdout.splitlines()[-1:]
    assert ended.returncode == 0, f"{name}, number {last}: {ended.returncode} {ended.stderr}"
    assert last == [str(count - 1)]


# Each damaged file of ORC takes a new reader, which takes half a second.
@pytest.mark.parametrize(
    ("name", "count"), [("plain.parquet", 80), ("packed.arrow", 80), ("packed.orc", 8), ("day.csv.gz", 80)]
)
def test_no_flipped_bit_ends_the_process(tmp_path: Path, name: str, count: int) -> None:
    flip(tmp_path, name, count, 120)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_of_many_ends_the_process(tmp_path: Path, name: str) -> None:
    flip(tmp_path, name, 400 if name.endswith(".orc") else 4_000, 1_800)
