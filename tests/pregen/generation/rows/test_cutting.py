"""However a file is cut, and whoever reads its parts: what is made of it, and said of it, is the same."""

import random
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from pregen.config import ColumnConfig
from pregen.errors import Finding, InputError
from pregen.gates.detector import Observation, Observer, Watch, all_observed
from pregen.generation.rows.routing import RoutingJob, RoutingTask, ShardFile, route, route_files, routing_tasks
from pregen.generation.rows.spill import SPILLED
from pregen.generation.rows.spool import FolderSpool
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import Argument, OwnProcess, Pool, Result, Task, WorkerPool
from pregen.snapshot import Reading, Snapshot, StatusBatch
from pregen.snapshot.files import BATCH_ROWS
from storage.key import KEY32, split
from tests.pregen.snapshot.desk import AS_OF, Desk, table

ROWS, GROUP_ROWS = 200_000, 66_000  # three parts: 66,000, 66,000, and 66,000 with the 2,000 of the last row group
PARTS = 3
AS_OF_S = int(AS_OF.timestamp())
ISSUERS = ("one", "two", "three")
_DAYS = ("not_before", "not_after")


class Sample(NamedTuple):
    """A table, how its columns are declared, and codes that must be among what is found."""

    table: pa.Table
    columns: Mapping[str, str | ColumnConfig]
    codes: set[str]


class Columns:
    """Good rows, to be changed, column by column."""

    def __init__(self) -> None:
        draw = np.random.default_rng(5)
        octets = draw.integers(0, 256, (ROWS, 16), np.uint8)
        octets[:, 0] = 1 + octets[:, 0] % 127
        self.serials: list[Any] = [one.tobytes() for one in octets]
        self.issuers: list[Any] = [ISSUERS[one] for one in draw.integers(0, 3, ROWS).tolist()]
        self.statuses: list[Any] = draw.choice(np.array([0, 0, 0, 1]), ROWS).tolist()
        self.not_before = AS_OF_S - draw.integers(86_400, 300 * 86_400, ROWS)
        self.not_after = self.not_before + 400 * 86_400
        self.revoked_at = np.minimum(self.not_before + draw.integers(0, 80 * 86_400, ROWS), AS_OF_S)

    def table(self, **changes: "pa.Array[Any] | None") -> pa.Table:
        """Return the rows, some columns in another form, or (None) left out."""
        columns: dict[str, pa.Array[Any] | None] = {
            "serial": pa.array(self.serials),
            "issuer": pa.array(self.issuers),
            "status": pa.array(self.statuses, pa.uint8()),
            "revoked_at": seconds(self.revoked_at, mask=np.array(self.statuses) == 0),
            "not_before": seconds(self.not_before),
            "not_after": seconds(self.not_after),
            **changes,
        }
        return pa.table({name: column for name, column in columns.items() if column is not None})


def seconds(values: NDArray[np.int64], mask: NDArray[np.bool_] | None = None) -> "pa.Array[Any]":
    return pa.array(values, pa.int64(), mask=mask).cast(pa.timestamp("s", "UTC"))


def put(column: list[Any], step: int, start: int, values: list[Any]) -> None:
    """Put values into every so many rows, in turn."""
    for number, row in enumerate(range(start, ROWS, step)):
        column[row] = values[number % len(values)]


def bad_rows() -> Sample:
    columns = Columns()
    put(columns.statuses, 97, 5, [0, 1, 0, 7, 8, 9, 10, 11, 12])
    put(columns.issuers, 5_003, 60_000, ["four", "five", None])
    put(columns.serials, 7_001, 0, [None, b"", b"\1" * 22, b"\0\1"])
    columns.not_after[::9_001] = 1
    reasons: list[Any] = [None] * ROWS
    put(reasons, 97, 5, ["odd", "keyCompromise", "x", None])
    told = columns.table(reason=pa.array(reasons), revoked_at=seconds(columns.revoked_at))
    codes = {"row.status.unknown", "row.issuer.unknown", "row.issuer.null", "row.serial.null", "row.serial.too-long"}
    return Sample(told, {}, codes | {"revocation.in-columns", "row.reason.unknown", "time.stands-for-none"})


def serials_of_another_script() -> Sample:
    columns, draw = Columns(), random.Random(3)
    texts = [str(draw.randrange(10**29, 10**30)) for _ in range(ROWS)]
    for row in range(140_000, ROWS, 11):
        texts[row] = texts[row][:15] + "0" * 15
    columns.serials = texts
    return Sample(columns.table(), {"serial": ColumnConfig(encoding="hex")}, {"serial.encoding", "serial.rounded"})


def serials_of_one_issuer() -> Sample:
    columns = Columns()
    pairs = zip(columns.serials, columns.issuers, strict=True)
    columns.serials = [serial[::-1] if issuer == "two" else serial for serial, issuer in pairs]
    return Sample(columns.table(), {}, {"serial.encoding", "serial.negative", "row.serial.not-minimal"})


def negative_serials() -> Sample:
    columns = Columns()
    columns.serials = [bytes([0x80 | serial[0]]) + serial[1:] for serial in columns.serials]
    return Sample(columns.table(), {}, {"serial.negative"})


def times_that_stand_for_none() -> Sample:
    columns, row = Columns(), np.arange(ROWS)
    columns.revoked_at = np.where(row % 3 == 0, AS_OF_S - 1_000_003, columns.not_before + 4_000)
    columns.revoked_at[7::50_000] = 0
    columns.revoked_at[8::40] = columns.not_before[8::40] - 500 * 86_400
    return Sample(columns.table(status=None, revoked_at=seconds(columns.revoked_at)), {}, {"time.stands-for-none"})


def one_same_time() -> Sample:
    row = np.arange(ROWS)
    revoked_at = np.where(row % 3 == 0, AS_OF_S - 1_000_003, AS_OF_S - 2_000_000 + row)
    return Sample(Columns().table(status=None, revoked_at=seconds(revoked_at)), {}, {"time.stands-for-none"})


def turns_of_years() -> Sample:
    columns, row = Columns(), np.arange(ROWS)
    is_turn = row % 49_999 == 1
    revoked_at = np.where(is_turn, 946_684_800, AS_OF_S - 2_000_000 + row)
    columns.not_after = np.where(row % 3_000 == 0, 1_577_836_800, AS_OF_S + 5_000_000 + row)
    told = columns.table(status=None, revoked_at=seconds(revoked_at, mask=~is_turn & (row % 40 != 0)))
    return Sample(told, {}, {"time.stands-for-none"})


def times_in_another_unit() -> Sample:
    columns = Columns()
    not_after = np.where(np.array(columns.issuers) == "three", columns.not_after, columns.not_after * 1_000)
    told = columns.table(not_before=pa.array(columns.not_before), not_after=pa.array(not_after))
    declared = {name: ColumnConfig(encoding="epoch-ms") for name in _DAYS}
    return Sample(told, declared, {"time.encoding", "time.stands-for-none"})


def times_with_zones() -> Sample:
    columns = Columns()
    texts = {
        name: [f"{one}Z" for one in np.datetime_as_string(getattr(columns, name).astype("M8[s]"))] for name in _DAYS
    }
    put(texts["not_before"], 8_009, 0, ["2026-15-03T10:00:00Z"])
    declared = {name: ColumnConfig(zone="Europe/Berlin") for name in _DAYS}
    told = columns.table(**{name: pa.array(some) for name, some in texts.items()})
    return Sample(told, declared, {"column.zone-unused", "time.encoding", "row.time.malformed"})


SAMPLES: tuple[Callable[[], Sample], ...] = (bad_rows, serials_of_one_issuer, times_that_stand_for_none)
MORE_SAMPLES: tuple[Callable[[], Sample], ...] = (
    serials_of_another_script,
    negative_serials,
    one_same_time,
    turns_of_years,
    times_in_another_unit,
    times_with_zones,
)


class Made(NamedTuple):
    """All that is made of a snapshot, and said of it."""

    findings: tuple[Finding, ...]
    counts: tuple[object, ...]
    shards: list[bytes]
    observed: list[object]


def made(desk: Desk, snapshot: Snapshot, tasks: list[RoutingTask], pool: Pool | None) -> Made:
    """Return what is made by tasks, or without them, of a snapshot that nobody has read yet."""
    folder = desk.folder / f"spool-{len([*desk.folder.iterdir()])}"
    folder.mkdir()
    spool, bounds, ids = FolderSpool(folder), tuple(split(0, KEY32, 3)), np.array([11, 12, 13], np.uint64)
    watch = Watch(AS_OF_S, 300, 3, np.empty(0, np.uint64), 0.001)
    seen: list[Observation] = []
    if pool is None:
        observer = Observer(watch)
        files = route(snapshot.batches(), spool, bounds, ids, Steps(), observer)
        seen.append(observer.take())
    else:
        told: list[int] = []
        job = RoutingJob(snapshot, spool, bounds, ids, watch)
        files = route_files(pool, job, tasks, Steps(), lambda: told.append(snapshot.rows_in), seen.append)
        assert (told, told[-1], len(told)) == (sorted(told), ROWS, len(tasks))
    observation = all_observed(seen, watch)
    counts = (
        snapshot.rows_in,
        snapshot.excluded,
        snapshot.excluded_values,
        snapshot.rows_of.tolist(),
        snapshot.revoked_of_cas.tolist(),
    )
    observed = [
        observation.newest.tobytes(),
        observation.table(watch).tobytes(),
        observation.undated.tolist(),
        sorted(one.tobytes() for one in observation.sightings),
        [examples.tobytes() for examples in observation.examples],
    ]
    return Made(snapshot.findings(), counts, [*map(octets_of, files)], observed)


def octets_of(file: ShardFile) -> bytes:
    """Return the rows of a shard in the order of the file, without what lies behind serials, which means nothing."""
    rows = file.pieces.read()
    rows = rows[np.argsort(rows["row"], kind="stable")]  # those that are withheld come after the others of their batch
    serials = rows["serial"].copy().view(np.uint8).reshape(len(rows), -1)
    serials[np.arange(serials.shape[1]) >= (rows["code"] >> 2 & 63)[:, None]] = 0
    others = [rows[name].tobytes() for name in SPILLED.names or () if name != "serial"]
    return b"".join([serials.tobytes(), *others])


def tasks_of(snapshot: Snapshot, ends: set[int]) -> list[RoutingTask]:
    """Return tasks that each take the parts up to one of these numbers."""
    bounds = sorted({0, PARTS, *ends})
    runs = [range(first, end) for first, end in pairwise(bounds)]
    return [
        RoutingTask(number, tuple((0, part) for part in parts), str(snapshot.files[0]))
        for number, parts in enumerate(runs)
    ]


class InAnyOrder:
    """A pool whose results come in another order than their tasks."""

    size = 2

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def map(
        self, factory: Callable[[Argument], Callable[[Task], Result]], argument: Argument, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        results = [*OwnProcess().map(factory, argument, tasks)]
        self._draw.shuffle(results)
        return iter(results)


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


@pytest.mark.parametrize("sample", [*SAMPLES, *(pytest.param(one, marks=pytest.mark.slow) for one in MORE_SAMPLES)])
def test_what_is_found_is_the_same_however_a_file_is_cut(
    sample: Callable[[], Sample], tmp_path: Path, workers: WorkerPool
) -> None:
    rows = sample()
    desk = Desk(tmp_path, issuers={name: number for number, name in enumerate(ISSUERS)})
    path, draw = tmp_path / "s.parquet", random.Random(1)

    def opened(group_rows: int) -> Snapshot:
        pa.parquet.write_table(rows.table, path, row_group_size=group_rows)
        return desk.open(path, rows.columns, as_of=AS_OF)

    uncut = made(desk, opened(ROWS), [], None)
    alone = made(desk, opened(GROUP_ROWS), [], None)
    assert rows.codes <= {finding.code for finding in alone.findings}
    assert alone.counts == uncut.counts
    assert alone.shards == uncut.shards
    assert alone.observed == uncut.observed
    # Which rows are examples, and how many were looked at, may differ, since batches are others. What is wrong may not.
    assert kinds(alone) == kinds(uncut)

    for ends in ((2,), (1, 2)):
        snapshot = desk.open(path, rows.columns, as_of=AS_OF)
        assert len(snapshot.estimates_of(0)) == PARTS
        pool = workers if ends == (1, 2) else InAnyOrder(draw)
        assert made(desk, snapshot, tasks_of(snapshot, {*ends}), pool) == alone


def kinds(found: Made) -> set[tuple[str, str, int]]:
    """Return what is wrong, and in how many rows, as far as all are counted."""
    return {(one.code, one.severity, one.count if one.code.startswith("row.") else 0) for one in found.findings}


def test_a_large_file_is_read_by_several_tasks_and_small_ones_are_read_together(tmp_path: Path) -> None:
    desk, wanted = Desk(tmp_path), BATCH_ROWS // 2 + 5_000
    for name, rows, group_rows in (("a", 10, 10), ("b", 3 * wanted, wanted), ("c", 20, 1), ("d", 30, 30)):
        desk.write(f"day/{name}.parquet", table(rows), group_rows=group_rows)
    snapshot = desk.open(tmp_path / "day")

    tasks = routing_tasks(snapshot, workers=1, shards=3)

    assert [task.parts for task in tasks] == [((0, 0),), ((1, 0),), ((1, 1),), ((1, 2),), ((2, 0), (3, 0))]
    assert [task.label for task in tasks[:2]] == [str(snapshot.files[0]), str(snapshot.files[1])]
    assert [task.number for task in tasks] == [0, 1, 2, 3, 4]
    assert [task.parts for task in routing_tasks(desk.open(tmp_path / "day" / "b.parquet"), workers=1, shards=3)] == [
        ((0, part),) for part in range(3)
    ]


class CrashingSnapshot(Snapshot):
    """One whose native reader does what it must not, at the second part of a file."""

    def read(self, number: int, reading: Reading, part: int = 0) -> Iterator[StatusBatch]:
        if part == 1:
            signal.raise_signal(signal.SIGSEGV)
        return super().read(number, reading, part)


def test_of_a_file_that_is_read_in_parts_the_crash_of_a_reader_names_the_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    path = desk.write("s.parquet", table(140_000), group_rows=70_000)
    snapshot = desk.open(path)
    snapshot.__class__ = CrashingSnapshot
    (tmp_path / "spool").mkdir()
    job = RoutingJob(snapshot, FolderSpool(tmp_path / "spool"), (0, KEY32), np.array([11], np.uint64))

    with WorkerPool(2) as pool, pytest.raises(InputError) as caught:
        route_files(pool, job, routing_tasks(snapshot, workers=2, shards=3), Steps(), lambda: None)

    [finding] = caught.value.findings
    assert (finding.code, finding.message.startswith(f"{path}: its reader was killed by SIGSEGV")) == (
        "file.crashed",
        True,
    )
