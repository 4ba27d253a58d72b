"""Micro benchmarks of what a response costs: pytest --benchmark-only tests/bench/test_micro.py.

They are skipped in the normal run. Each result is checked after the clock has stopped.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest
import xxhash
from cryptography.x509.ocsp import load_der_ocsp_response
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from bench.workload import SERIAL_BYTES, Workload
from pregen.generation.making.messages import MESSAGE_ROWS, Messages, Scratch, generalized_times
from pregen.generation.making.plan import Plan
from pregen.generation.rows.groups import Group
from pregen.routing_key import xxh64
from pregen.signers import Octets
from pregen.signers.base import digests
from pregen.snapshot.times.zones import local_to_utc, wall_table
from pregen.zones import zone
from storage.pack import PACK_ID_BYTES, Pack, Segment, bucket_count, build_pack, find, open_pack, pack_name, walk
from storage.reader import LoadedTables, load_pack, open_reader
from storage.response import Assembler, generalized_time
from storage.stores import LocalStore

SHARD_ROWS = 65_536
STRIDE = SERIAL_BYTES + 64
MESSAGE_BYTES = 200  # about a ResponseData
IDENTITY = bytes(range(PACK_ID_BYTES))
NAME = pack_name(0, IDENTITY)


class Stored(NamedTuple):
    """A run as a reader sees it, one of its records, and what it was planned by."""

    assembler: Assembler
    record: bytes
    plan: Plan
    run: int


class Made(NamedTuple):
    """What a pack is made of: records in the order of their buckets, and which bucket holds which of them."""

    records: Octets
    buckets: int
    segments: list[Segment]

    def build(self) -> Pack:
        return build_pack(IDENTITY, self.buckets, self.segments, [self.records.data.cast("B")], NAME)


def random_rows(rows: int, size: int) -> Octets:
    return np.random.default_rng(1).integers(0, 256, (rows, size), dtype=np.uint8)


@pytest.fixture(params=["good", "revoked"])
def stored(request: pytest.FixtureRequest, published: Workload) -> Stored:
    store = LocalStore(published.store)
    generation = open_reader(store).current
    assert generation is not None
    (shard,) = generation.manifest.shards
    loaded: LoadedTables = generation.tables[shard.windows]
    tables, pack = loaded.tables, load_pack(store, shard)
    wanted = [number for number, run in enumerate(tables.runs) if tables.shapes[run.shape].status == request.param]
    run, start, _, octets = next(
        found for bucket in range(pack.buckets) for found in walk(pack, bucket, loaded.strides) if found[0] in wanted
    )
    assembler = Assembler(loaded.name, tables, tables.runs[run], 0)
    runs = {Group.of_code(number): number for number in range(len(tables.runs))}
    plan = Plan(tables, runs, loaded.name, {})  # to fill messages, no more is asked of it
    return Stored(assembler, octets[start : start + loaded.strides[run]], plan, run)


@pytest.fixture(scope="module")
def made() -> Made:
    records = random_rows(SHARD_ROWS, STRIDE)
    buckets = bucket_count(records.size)
    edges = np.linspace(0, SHARD_ROWS, buckets + 1).astype(int).tolist()
    segments = [
        Segment(bucket, 0, 0, edges[bucket] * STRIDE, edges[bucket + 1] * STRIDE, edges[bucket + 1] - edges[bucket])
        for bucket in range(buckets)
    ]
    return Made(records, buckets, segments)


def test_fill_a_batch_of_messages(benchmark: BenchmarkFixture, stored: Stored) -> None:
    records = np.tile(np.frombuffer(stored.record, np.uint8), (MESSAGE_ROWS, 1))
    records[:, :SERIAL_BYTES] = random_rows(MESSAGE_ROWS, SERIAL_BYTES)
    messages = Messages(stored.plan, stored.plan.tables.runs[stored.run].shape, 0, Scratch())
    filled = benchmark(messages.fill, records, np.full(MESSAGE_ROWS, stored.run, np.intp))
    for row in range(0, MESSAGE_ROWS, 97):
        assert filled[row].tobytes() == stored.assembler.response_data(records[row].tobytes())


def test_hash_a_batch_of_messages(benchmark: BenchmarkFixture) -> None:
    messages = random_rows(MESSAGE_ROWS, MESSAGE_BYTES)
    hashed = benchmark(digests, messages, "sha256")
    for row in range(0, MESSAGE_ROWS, 97):
        assert hashed[row].tobytes() == hashlib.sha256(messages[row].tobytes()).digest()


def test_convert_a_batch_of_times(benchmark: BenchmarkFixture) -> None:
    times = random_rows(MESSAGE_ROWS, 4)
    digits = benchmark(generalized_times, times)
    for row in range(0, MESSAGE_ROWS, 97):
        assert digits[row].tobytes() == generalized_time(int.from_bytes(times[row].tobytes(), "little"))


def test_key_a_shard_of_serials(benchmark: BenchmarkFixture) -> None:
    serials, seed = random_rows(SHARD_ROWS, SERIAL_BYTES), 0x1234_5678_9ABC_DEF0
    keys = benchmark(xxh64, serials, np.array([seed], np.uint64))
    for row in range(0, SHARD_ROWS, 997):
        assert keys[row] == xxhash.xxh64_intdigest(serials[row].tobytes(), seed)


def test_pack_a_shard_of_records(benchmark: BenchmarkFixture, made: Made) -> None:
    pack = benchmark(made.build)
    reader = open_pack(NAME, pack.octets, pack.directory_at, pack.directory_crc)
    found = bytearray()
    for bucket in range(reader.buckets):
        for _, start, count, octets in walk(reader, bucket, [STRIDE]):
            found += octets[start : start + count * STRIDE]
    assert found == made.records.tobytes()


def test_find_a_serial_in_a_bucket(benchmark: BenchmarkFixture, made: Made) -> None:
    pack = made.build()
    reader = open_pack(NAME, pack.octets, pack.directory_at, pack.directory_crc)
    segment = made.segments[7]
    row = segment.start // STRIDE + segment.records // 2  # half of the bucket is searched
    serial = made.records[row, :SERIAL_BYTES].tobytes()
    found = benchmark(find, reader, segment.bucket, serial, [STRIDE], {0})
    assert found == (0, made.records[row].tobytes())


def test_assemble_a_response(benchmark: BenchmarkFixture, stored: Stored) -> None:
    response = load_der_ocsp_response(benchmark(stored.assembler.response, stored.record))
    assert response.tbs_response_bytes == stored.assembler.response_data(stored.record)
    assert response.serial_number == int.from_bytes(stored.record[:SERIAL_BYTES], "big")


@pytest.fixture(params=["random", "sorted"])
def local(request: pytest.FixtureRequest) -> NDArray[np.int64]:
    """Wall-clock times of 1970 to 2033, without those that a change of the clocks makes doubtful."""
    times = np.random.default_rng(1).integers(0, 2_000_000_000, SHARD_ROWS)
    _, ambiguous, nonexistent = local_to_utc(times, "America/Denver")
    times[ambiguous | nonexistent] = 0
    return np.sort(times) if request.param == "sorted" else times


def test_search_a_table_and_take(benchmark: BenchmarkFixture, local: NDArray[np.int64]) -> None:
    """The reference for the next one: no conversion of times can be faster than one search in its table."""
    table = wall_table("America/Denver")
    offsets = benchmark(lambda: table.earliest.take(table.breaks.searchsorted(local, "right")))
    assert set(offsets.tolist()) == {-6 * 3_600, -7 * 3_600}


def test_convert_local_times(benchmark: BenchmarkFixture, local: NDArray[np.int64]) -> None:
    found = benchmark(local_to_utc, local, "America/Denver")
    rules = zone("America/Denver")
    for row in range(0, SHARD_ROWS, 997):
        moment = datetime(1970, 1, 1, tzinfo=rules) + timedelta(seconds=int(local[row]))  # adds on the wall
        assert found.seconds[row] == moment.astimezone(UTC).timestamp()
