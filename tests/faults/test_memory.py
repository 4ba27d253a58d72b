"""Small files that would unfold to gigabytes are refused, or read in parts: memory stays within a stated bound."""

import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests.faults.damages.texts import csv
from tests.faults.zygote import Zygote
from tests.pregen.cli.ca import Ca

# What a usual `check` needs is 120 MiB or so; a shard, its sort and the batches in flight are some 40 MiB more.
BOUND_MIB = 320


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """What is freed goes back to the system at once, so that the peak is that of what was needed."""
    with Zygote(tmp_path_factory.mktemp("zygote"), {"ARROW_DEFAULT_MEMORY_POOL": "system"}) as zygote:
        yield zygote


def dictionary(length: int, rows: int) -> "pa.Array[pa.Scalar[pa.DataType]]":
    """Return one long value, named again and again."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32), pa.int32()), pa.array([b"\1" * length]))


def export(ca: Ca, serial: "pa.Array[pa.Scalar[pa.DataType]]", *, plain: bool = False, told: bool = True) -> None:
    """Write a table of good certificates; `plain` without dictionary pages, not `told` without Arrow's own schema."""
    table = pa.table({"serial": serial, "status": pa.array(np.zeros(len(serial), np.uint8))})
    pq.write_table(
        table,
        ca.snapshot,
        compression="zstd",
        use_dictionary=not plain,
        dictionary_pagesize_limit=1 << 30,
        write_statistics=False,
        store_schema=told,
    )
    ca.configure(snapshot={"as_of": ca.now})


def one_giant_value(ca: Ca) -> None:
    export(ca, pa.array([b"\1" * (192 << 20), b"\2", b"\3"]), plain=True)


def giant_values_in_a_dictionary(ca: Ca) -> None:
    """A terabyte."""
    export(ca, dictionary(8 << 20, 131_072))


def giant_values_in_a_dictionary_that_arrow_unfolds(ca: Ca) -> None:
    export(ca, dictionary(8 << 20, 131_072), told=False)


def long_values_in_a_dictionary(ca: Ca) -> None:
    """Each page and the dictionary itself are small; all values of a batch are eight gigabytes."""
    export(ca, dictionary(65_536, 131_072), told=False)


def batch(ca: Ca, serial: "pa.Array[pa.Scalar[pa.DataType]]", *, stream: bool = False, claimed: int = 0) -> None:
    """Write one record batch of good certificates, packed where its buffers are to claim another size."""
    data = pa.record_batch({"serial": serial, "status": pa.array(np.zeros(len(serial), np.uint8))})
    path = ca.folder / ("day.ipc" if stream else "day.arrow")
    options = pa.ipc.IpcWriteOptions(compression="zstd" if claimed else None)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(path), data.schema, options=options) as file:
        file.write_batch(data)
    if claimed:
        octets = path.read_bytes()
        assert octets.count(struct.pack("<q", 800_000)) == 1
        path.write_bytes(octets.replace(struct.pack("<q", 800_000), struct.pack("<q", claimed)))
    ca.configure(snapshot={"path": path.name, "as_of": ca.now})


def zeros() -> "pa.Array[pa.Scalar[pa.DataType]]":
    """Return what unpacks to 800,000 octets."""
    return pa.array([b"\0" * 8] * 100_000, pa.binary(8))


def batch_that_unpacks_to_gigabytes(ca: Ca) -> None:
    batch(ca, zeros(), claimed=3 << 30)


def batch_of_a_stream_that_unpacks_to_gigabytes(ca: Ca) -> None:
    batch(ca, zeros(), claimed=3 << 30, stream=True)


def dictionary_that_unpacks_to_gigabytes(ca: Ca) -> None:
    batch(ca, pa.DictionaryArray.from_arrays(pa.array([0, 0, 0], pa.int8()), zeros()), claimed=3 << 30)


def views_of_a_giant_value(ca: Ca) -> None:
    """Eight hundred gigabytes."""
    views = np.zeros((100_000, 4), np.int32)
    views[:, :2] = 8 << 20, 0x01010101  # length, and the first four octets
    buffers = [None, pa.py_buffer(views.tobytes()), pa.py_buffer(b"\1" * (8 << 20))]
    batch(ca, pa.Array.from_buffers(pa.binary_view(), len(views), buffers))


def run_of_a_giant_value(ca: Ca) -> None:
    batch(ca, pa.RunEndEncodedArray.from_arrays(pa.array([100_000], pa.int32()), pa.array([b"\1" * (8 << 20)])))


def row_of_a_hundred_megabytes(ca: Ca) -> None:
    csv(lambda data: data + b"1" * (100 << 20) + b",good,\n")(ca)


def header_of_a_million_fields(ca: Ca) -> None:
    csv(lambda data: data.replace(b"revoked_at", b"revoked_at" + b"," * 1_000_000, 1))(ca)


def footer_that_claims_two_gigabytes(ca: Ca) -> None:
    ca.snapshot.write_bytes(ca.snapshot.read_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1")


def five_million_bad_rows(ca: Ca) -> None:
    export(ca, dictionary(0, 5_000_000))


REFUSED: dict[Callable[[Ca], None], tuple[str, str]] = {
    one_giant_value: ("file.damaged", "(row group 1, column 'serial': 3 values have 201,326,"),
    giant_values_in_a_dictionary: ("file.damaged", "(row group 1, column 'serial': a value has 8,388,608 octets"),
    giant_values_in_a_dictionary_that_arrow_unfolds: ("file.damaged", "a value has 8,388,608 octets"),
    long_values_in_a_dictionary: ("file.damaged", "a value has 65,536 octets"),
    row_of_a_hundred_megabytes: ("file.damaged", "a row is longer than 4,194,304 octets"),
    header_of_a_million_fields: ("file.format", "its header has more than 10,000 fields"),
    footer_that_claims_two_gigabytes: ("file.damaged", "export it again"),
    batch_that_unpacks_to_gigabytes: ("file.damaged", "a record batch unpacks to 3,22"),
    batch_of_a_stream_that_unpacks_to_gigabytes: ("file.damaged", "a record batch unpacks to 3,22"),
    dictionary_that_unpacks_to_gigabytes: ("file.damaged", "a record batch unpacks to 3,22"),
    views_of_a_giant_value: ("file.damaged", "column 'serial': 131,072 values have 838,860,800,000 octets"),
    run_of_a_giant_value: ("file.damaged", "column 'serial': a value has 8,388,608 octets"),
    five_million_bad_rows: ("row.serial.empty", "... 5,000,000 in all"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and Linux alone tells the peak of each process in KiB")
@pytest.mark.parametrize(("make", "said"), REFUSED.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_a_hostile_file_takes_no_more_memory_than_a_usual_one(
    tmp_path: Path, zygote: Zygote, make: Callable[[Ca], None], said: tuple[str, str]
) -> None:
    ca = Ca(tmp_path)
    make(ca)

    ended = zygote.run("check", ca.config)

    code, text = said
    assert ended == 3, zygote.said
    assert f"error {code}: " in zygote.said
    assert text in zygote.said
    assert zygote.peak_bytes >> 20 < BOUND_MIB
    assert ca.published() == {}
