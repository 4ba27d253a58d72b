import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from pregen.errors import InputError, SpoolError, WorkerError
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.generation.rows.parts import MOST_PIECES, part_rows
from pregen.generation.rows.router import ShardFinder
from pregen.generation.rows.routing import RoutingJob, RoutingTask, ShardFile, route, route_files, routing_tasks
from pregen.generation.rows.rows import load_shard
from pregen.generation.rows.sharding import PACK_BYTES, SHARD_ROWS, shard_count
from pregen.generation.rows.spill import ROW_BYTES
from pregen.generation.rows.spool import FolderSpool
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import WorkerPool
from pregen.snapshot import NO_EXPIRY, Reading, Snapshot, StatusBatch
from storage.key import KEY32, key32, part_of, split
from tests.pregen.generation.workshop import Row, batch_of, plain_rows, serials_of, spool, various_rows
from tests.pregen.snapshot.desk import Desk, table

IDS = (0x0123456789ABCDEF, 2**64 - 1)
AUTUMN_S = 1_793_000_000  # of 2026


class Spooled(NamedTuple):
    key: int
    number: int
    row: Row


def contents(file: ShardFile) -> list[Spooled]:
    spooled = []
    for one in file.pieces.read():
        group = Group.of_code(int(one["code"]))
        row = Row(
            serial=bytes(one["serial"])[: group.serial_bytes],
            status=("good", "revoked", "unknown").index(RESPONSE_KINDS[group.kind][0]),
            revoked_at=int(one["revoked_at"]),
            reason=int(one["reason"]),
            not_after=NO_EXPIRY if one["not_after"] == 2**32 - 1 else int(one["not_after"]),
            issuer=group.issuer,
        )
        spooled.append(Spooled(int(one["key"]), int(one["row"]), row))
    return spooled


def serials(file: ShardFile) -> list[bytes]:
    return [one.row.serial for one in contents(file)]


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 64])
def test_every_row_arrives_once_and_whole_in_the_shard_of_its_key(tmp_path: Path, shards: int) -> None:
    rows = [row._replace(not_after=5 * i) if i % 2 else row for i, row in enumerate(various_rows(3_000, issuers=2))]
    arrived = {}
    for file in spool(tmp_path, rows, shards=shards, issuer_ids=IDS):
        spooled = contents(file)
        assert len(spooled) == file.rows
        for one in spooled:
            row = rows[one.number]
            assert one.key == xxhash.xxh64_intdigest(row.serial, IDS[row.issuer])
            assert file.low <= one.key >> 32 < file.high
            assert part_of(one.key >> 32, 0, KEY32, shards) == file.number
            arrived[one.number] = one.row
    assert [arrived[number] for number in range(len(rows))] == rows


def serial_with_key32(low: int, high: int, start: int) -> bytes:
    """Return a serial whose key's upper half is in [low, high)."""
    return next(
        serial
        for number in range(start, start + 2**22)
        if low <= key32(serial := number.to_bytes(4, "big"), IDS[0]) < high
    )


@pytest.mark.parametrize("shards", [2, 3])
def test_keys_at_a_boundary_go_where_readers_look_for_them(tmp_path: Path, shards: int) -> None:
    bounds, near = split(0, KEY32, shards), 1 << 13
    edges = [(bound - near, bound) for bound in bounds[1:]] + [(bound, bound + near) for bound in bounds[:-1]]
    near_edges = [serial_with_key32(low, high, 1 << 24) for low, high in edges]
    files = spool(tmp_path, [Row(serial) for serial in near_edges], shards=shards, issuer_ids=IDS)
    for file in files:
        there = serials(file)
        assert sorted(there) == sorted(s for s in near_edges if file.low <= key32(s, IDS[0]) < file.high)
        assert len(there) == 2


def test_the_exact_bounds_of_shards_are_cut_as_readers_cut_them() -> None:
    """The router is asked for keys of which no serial could be found."""
    for shards in (1, 2, 3, 7, 1000, 65_535):
        bounds = split(0, KEY32, shards)
        keys = np.array([edge for bound in bounds[:-1] for edge in (bound, bound - 1) if edge >= 0], np.uint64)
        computed = ShardFinder(bounds).of(keys << np.uint64(32)).tolist()
        assert computed == [part_of(int(key), 0, KEY32, shards) for key in keys]
        assert all(bounds[shard] <= key < bounds[shard + 1] for key, shard in zip(keys.tolist(), computed, strict=True))


def test_batches_follow_each_other_in_a_shard(tmp_path: Path) -> None:
    rows = plain_rows(300)
    batches = [batch_of(rows[at : at + 100], at) for at in range(0, 300, 100)]
    files = route(batches, FolderSpool(tmp_path), split(0, KEY32, 3), np.array(IDS[:1], np.uint64), Steps())
    for file in files:
        assert len(file.pieces.read()) == file.rows
        numbers = [one.number for one in contents(file)]
        assert numbers == sorted(numbers)
    assert sum(file.rows for file in files) == 300


def test_the_parts_of_a_large_snapshot_are_larger_so_that_their_pieces_are_not_too_many(tmp_path: Path) -> None:
    batches = [batch_of(plain_rows(5_000)) for _ in range(110)]  # 550,000 rows
    shards = 15_264
    for rows, parts in ((len(batches) * 5_000, 2), (10**9, 1)):
        folder = tmp_path / str(parts)
        folder.mkdir()
        bounds = split(0, KEY32, shards)
        files = route(batches, FolderSpool(folder), bounds, np.array(IDS[:1], np.uint64), Steps(), rows=rows)
        assert len(files[0].pieces.names) == len(list(folder.iterdir())) == parts
    assert 10**9 // part_rows(10**9, shards) * shards <= MOST_PIECES


def test_a_slice_of_serials_is_routed_by_its_own_octets(tmp_path: Path) -> None:
    rows = various_rows(100)
    whole = batch_of(rows)
    columns = ("issuer", "status", "revoked_at", "reason", "not_after", "not_before", "row")
    part = replace(whole, serial=whole.serial.slice(40, 60), **{name: getattr(whole, name)[40:] for name in columns})
    (file,) = route([part], FolderSpool(tmp_path), [0, KEY32], np.array(IDS[:1], np.uint64), Steps())
    assert serials(file) == [row.serial for row in rows[40:]]


def test_no_rows_make_empty_files(tmp_path: Path) -> None:
    files = spool(tmp_path, [], shards=2)
    assert [file.rows for file in files] == [0, 0]
    assert [contents(file) for file in files] == [[], []]


def test_a_row_takes_no_more_space_than_is_checked_for(tmp_path: Path) -> None:
    assert ROW_BYTES <= 60
    rows = [row._replace(serial=row.serial + bytes(4)) for row in plain_rows(100_000)]  # 20 octets
    for shards in (2, 1_500):
        files = spool(tmp_path / str(shards), rows, shards=shards)
        octets = sum(path.stat().st_size for path in (tmp_path / str(shards)).iterdir())
        assert octets == sum(file.rows for file in files) * ROW_BYTES == len(rows) * ROW_BYTES


@pytest.mark.parametrize("record_bytes", [1, 90, 128, 129, 538, 9_280, PACK_BYTES + 1])
def test_shards_hold_as_many_rows_as_a_pack_should(record_bytes: int) -> None:
    for rows in (1, SHARD_ROWS, SHARD_ROWS + 1, 10 * SHARD_ROWS):
        shards = shard_count(rows, record_bytes)
        in_a_pack = max(1, min(SHARD_ROWS, PACK_BYTES // record_bytes))
        fewest = -(-rows // in_a_pack)
        assert fewest <= shards < fewest + 8 or shards == 65_536
        assert shards == fewest if fewest <= 8 else shards % 8 == 0


def test_a_file_that_claims_any_number_of_rows_gets_no_more_shards_than_their_numbers_can_tell_apart() -> None:
    numbers = np.arange(shard_count(10**18, 90))
    assert (numbers.astype(np.uint16) == numbers).all()


def test_many_shards_need_few_open_files(tmp_path: Path) -> None:
    program = [sys.executable, "-c", ROUTE_WITH_FEW_FILES, str(tmp_path / "spool")]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "500 200"


ROUTE_WITH_FEW_FILES = """
import resource, sys
from pathlib import Path
from tests.pregen.generation.workshop import plain_rows, spool
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
files = spool(Path(sys.argv[1]), plain_rows(500), shards=200)
print(sum(len(file.pieces.read()) for file in files), len(files))
"""


FILE_LIMIT = """
import resource, signal, sys
from pathlib import Path
from pregen.errors import SpoolError
from tests.pregen.generation.workshop import plain_rows, spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails then, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    spool(Path(sys.argv[1]), plain_rows(3000))
except SpoolError as e:
    print(e.exit_code, e.message)
"""


@pytest.mark.parametrize("limit", [0, 10_000, 143_000])  # of 144,000: the last ones are written at the end
def test_a_write_that_fails_says_where_and_what_to_do(tmp_path: Path, limit: int) -> None:
    program = [sys.executable, "-c", FILE_LIMIT, str(tmp_path / "spool"), str(limit)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.startswith(f"5 {tmp_path}/spool: writing spill files failed"), done.stdout + done.stderr
    assert "[run] spool" in done.stdout
    assert done.stderr == ""


def test_what_the_snapshot_raises_is_no_error_of_the_spill_files(tmp_path: Path) -> None:
    def batches() -> Iterator[StatusBatch]:
        yield batch_of(plain_rows(10))
        raise OSError(errno.EIO, "the snapshot's disk")

    with pytest.raises(OSError, match="the snapshot's disk") as caught:
        route(batches(), FolderSpool(tmp_path), [0, KEY32], np.array(IDS[:1], np.uint64), Steps())
    assert not isinstance(caught.value, SpoolError)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, issuers={"demo-r1": 0})


def each_alone(snapshot: Snapshot) -> list[RoutingTask]:
    """Return a task for each file."""
    return [RoutingTask(number, ((number, 0),), str(path)) for number, path in enumerate(snapshot.files)]


def route_with(desk: Desk, snapshot: Snapshot, workers: int) -> tuple[tuple[ShardFile, ...], list[int]]:
    """Return the shards as so many workers make them, 0 being none, and the rows known at each report."""
    folder = desk.folder / f"spool-{workers}"
    folder.mkdir()
    place = FolderSpool(folder)
    bounds, ids = split(0, KEY32, 3), np.array(IDS[:1], np.uint64)
    if not workers:
        return route(snapshot.batches(), place, bounds, ids, Steps()), []
    told: list[int] = []
    with WorkerPool(workers) as pool:
        job = RoutingJob(snapshot, place, tuple(bounds), ids)
        return route_files(pool, job, each_alone(snapshot), Steps(), lambda: told.append(snapshot.rows_in)), told


def write_files(desk: Desk) -> Snapshot:
    """Write files of very different sizes, which repeat and contradict each other, and hold bad rows."""
    for number, (first, count) in enumerate([(0, 50), (40, 2_000), (0, 1), (1_900, 300), (7, 700)]):
        serial = pa.array([(2**24 + first + i).to_bytes(4, "big") for i in range(count)], pa.binary())
        status = pa.array([i % 11 % 3 if i % 50 else 7 for i in range(first, first + count)], pa.int8())
        revoked_at = pa.array(
            [((first + i) % (60 + number) + AUTUMN_S) * 1000 + 1 for i in range(count)], pa.timestamp("ms", "UTC")
        )
        desk.write(f"day/{number}.parquet", table(count, serial=serial, status=status, revoked_at=revoked_at))
    return desk.open(desk.folder / "day")


def test_shards_and_findings_are_the_same_however_many_workers_read_the_files(desk: Desk) -> None:
    made = []
    for workers in (0, 1, 3):
        snapshot = write_files(desk)
        files, told = route_with(desk, snapshot, workers)
        noted = (snapshot.rows_in, snapshot.excluded, snapshot.findings())
        shards = []
        for file in files:
            rows = load_shard(file)
            columns = (rows.key32, rows.codes, rows.revoked_at, rows.reason)
            about = (rows.counts.repeated, rows.examples.conflicts, rows.counts.conflicting)
            shards.append((file.rows, serials_of(rows), *(column.tolist() for column in columns), *about))
        made.append((noted, shards))
        if workers:
            assert len(told) == 5
            assert told == sorted(told)
            assert told[-1] == snapshot.rows_in == 3_051

    assert made[0] == made[1] == made[2]
    codes = {finding.code for finding in made[0][0][2]}
    assert codes == {"row.status.unknown", "row.revoked.ignored", "revocation.in-columns"}
    assert sum(len(shard[1]) for shard in made[0][1]) > 2_000
    assert any(conflict.row.file != conflict.other.file for shard in made[0][1] for conflict in shard[-2])


def test_all_rows_are_in_the_files_before_the_workers_turn_to_something_else(desk: Desk) -> None:
    snapshot, ids = write_files(desk), np.array(IDS[:1], np.uint64)
    folder = desk.folder / "spool"
    folder.mkdir()
    with WorkerPool(2) as pool:
        job = RoutingJob(snapshot, FolderSpool(folder), tuple(split(0, KEY32, 3)), ids)
        files = route_files(pool, job, each_alone(snapshot), Steps(), lambda: None)
        assert [len(contents(file)) for file in files] == [file.rows for file in files]


@pytest.mark.parametrize("workers", [1, 2])
def test_of_a_worker_that_reads_several_files_all_rows_are_accounted_for(desk: Desk, workers: int) -> None:
    files, _ = route_with(desk, write_files(desk), workers)
    assert sum(file.rows for file in files) == sum(len(file.pieces.read()) for file in files) > 2_900
    for path in (desk.folder / f"spool-{workers}").iterdir():
        octets = path.read_bytes()
        for at in range(0, len(octets), 1000):
            path.write_bytes(octets[:at] + bytes([octets[at] ^ 0x80]) + octets[at + 1 :])
            with pytest.raises(SpoolError, match=f"{path}: this spill file holds other octets than were written"):
                [file.pieces.read() for file in files]
        path.write_bytes(octets)


def test_small_files_are_read_together_and_large_ones_alone(desk: Desk) -> None:
    sizes = [10, 20, 9_000, 30, 8_150, 40, 50]
    for number, rows in enumerate(sizes):
        desk.write(f"sizes/{number}.parquet", table(rows))
    snapshot = desk.open(desk.folder / "sizes")

    tasks = routing_tasks(snapshot, workers=2, shards=3)

    assert [[number for number, _ in task.parts] for task in tasks] == [[0, 1], [2], [3, 4], [5, 6]]
    assert [task.number for task in tasks] == [0, 1, 2, 3]
    assert tasks[1].label == str(snapshot.files[2])
    assert tasks[3].label == f"2 files from {snapshot.files[5]} to {snapshot.files[6]}"


def test_a_file_that_is_damaged_further_on_is_refused_from_a_worker_as_from_here(desk: Desk) -> None:
    write_files(desk)
    path = desk.folder / "day" / "1.parquet"
    octets = bytearray(path.read_bytes())
    octets[100:140] = bytes(40)
    path.write_bytes(octets)
    snapshot = desk.open(desk.folder / "day")
    refused = []
    for workers in (0, 2):
        with pytest.raises(InputError) as caught:
            route_with(desk, snapshot, workers)
        refused.append((caught.value.message, caught.value.findings, caught.value.exit_code))
    assert refused[0] == refused[1]
    assert refused[0][1][0].code == "file.damaged"


class DyingSnapshot(Snapshot):
    """One that ends its reader as the kernel does when memory runs out."""

    def read(self, number: int, reading: Reading, part: int = 0) -> Iterator[StatusBatch]:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().read(number, reading, part)


def test_a_worker_that_dies_while_it_reads_is_missed_with_the_name_of_its_file(desk: Desk) -> None:
    snapshot = write_files(desk)
    snapshot.__class__ = DyingSnapshot
    with pytest.raises(WorkerError, match=r"worker process of .*/day/1.parquet was killed by SIGKILL"):
        route_with(desk, snapshot, 1)


class CrashingSnapshot(Snapshot):
    """One whose native reader does what it must not, at its second file."""

    def read(self, number: int, reading: Reading, part: int = 0) -> Iterator[StatusBatch]:
        if number == 1:
            signal.raise_signal(signal.SIGSEGV)
        return super().read(number, reading, part)


def test_a_worker_that_crashes_while_it_reads_is_an_error_about_the_file(desk: Desk) -> None:
    snapshot = write_files(desk)
    snapshot.__class__ = CrashingSnapshot

    with pytest.raises(InputError) as caught:
        route_with(desk, snapshot, 2)

    [finding] = caught.value.findings
    assert (finding.code, caught.value.exit_code) == ("file.crashed", 3)
    assert finding.message.startswith(f"{snapshot.files[1]}: its reader was killed by SIGSEGV")
    assert "export it again" in finding.message


def test_of_files_that_are_read_together_the_one_whose_reader_crashes_is_named(desk: Desk) -> None:
    snapshot = write_files(desk)
    snapshot.__class__ = CrashingSnapshot
    folder = desk.folder / "spool"
    folder.mkdir()
    job = RoutingJob(snapshot, FolderSpool(folder), (0, KEY32), np.array(IDS[:1], np.uint64))
    tasks = routing_tasks(snapshot, workers=2, shards=3)
    assert len(tasks) == 1

    with WorkerPool(2) as pool, pytest.raises(InputError) as caught:
        route_files(pool, job, tasks, Steps(), lambda: None)

    [finding] = caught.value.findings
    assert finding.message.startswith(f"{snapshot.files[1]}: its reader was killed by SIGSEGV")
