import errno
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from pyarrow import ipc

from pregen.errors import SpoolError
from pregen.generation.routing import SHARD_ROWS, ShardFile, route, shard_count
from pregen.generation.spool import ROW_BYTES
from pregen.snapshot import StatusBatch
from storage.key import KEY32, key32, part_of, split
from tests.pregen.generation.workshop import Row, batch_of, plain_rows, spool, various_rows

IDS = (0x0123456789ABCDEF, 2**64 - 1)


def contents(file: ShardFile) -> pa.Table:
    with ipc.open_stream(file.path.read_bytes()) as stream:
        return stream.read_all()


def serials(file: ShardFile) -> list[bytes]:
    return [row["serial"] for row in contents(file).to_pylist()]


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 64])
def test_every_row_arrives_once_and_whole_in_the_shard_of_its_key(tmp_path: Path, shards: int) -> None:
    rows = various_rows(3_000, issuers=2)
    arrived = {}
    for file in spool(tmp_path, rows, shards=shards, issuer_ids=IDS):
        spooled = contents(file).to_pylist()
        assert len(spooled) == file.rows
        for one in spooled:
            row = rows[one["row"]]
            assert one["key"] == xxhash.xxh64_intdigest(row.serial, IDS[row.issuer])
            assert file.low <= one["key"] >> 32 < file.high
            assert part_of(one["key"] >> 32, 0, KEY32, shards) == file.number
            fields = ("serial", "status", "revoked_at", "reason", "not_after", "issuer")
            arrived[one["row"]] = Row(**{name: one[name] for name in fields})
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
    # What `Router.write` computes, for keys that no serial could be found for.
    for shards in (1, 2, 3, 7, 1000, 65_535):
        bounds = split(0, KEY32, shards)
        keys = np.array([edge for bound in bounds[:-1] for edge in (bound, bound - 1) if edge >= 0], np.uint64)
        computed = (keys * np.uint64(shards) >> np.uint64(32)).tolist()
        assert computed == [part_of(int(key), 0, KEY32, shards) for key in keys]
        assert all(bounds[shard] <= key < bounds[shard + 1] for key, shard in zip(keys.tolist(), computed, strict=True))


def test_batches_follow_each_other_in_a_shard(tmp_path: Path) -> None:
    rows = plain_rows(300)
    batches = [batch_of(rows[at : at + 100], at) for at in range(0, 300, 100)]
    files = route(batches, tmp_path, split(0, KEY32, 3), np.array(IDS[:1], np.uint64))
    for file in files:
        numbers = [row["row"] for row in contents(file).to_pylist()]
        assert numbers == sorted(numbers)
    assert sum(file.rows for file in files) == 300


def test_a_slice_of_serials_is_routed_by_its_own_octets(tmp_path: Path) -> None:
    rows = various_rows(100)
    whole = batch_of(rows)
    part = StatusBatch(
        whole.serial.slice(40, 60),
        *(getattr(whole, name)[40:] for name in whole.__dataclass_fields__ if name != "serial"),
    )
    (file,) = route([part], tmp_path, [0, KEY32], np.array(IDS[:1], np.uint64))
    assert serials(file) == [row.serial for row in rows[40:]]


def test_no_rows_make_empty_files(tmp_path: Path) -> None:
    files = spool(tmp_path, [], shards=2)
    assert [file.rows for file in files] == [0, 0]
    assert [contents(file).num_rows for file in files] == [0, 0]


def test_a_row_takes_no_more_space_than_is_checked_for(tmp_path: Path) -> None:
    rows = [row._replace(serial=row.serial + bytes(4)) for row in plain_rows(100_000)]  # 20 octets
    files = spool(tmp_path / "few", rows, shards=shard_count(len(rows)))
    assert sum(file.path.stat().st_size for file in files) / len(rows) <= 60
    many = spool(tmp_path / "many", rows, shards=1_200)  # as for 80 million rows
    assert sum(file.path.stat().st_size for file in many) / len(rows) <= ROW_BYTES


def test_shards_hold_about_as_many_rows_as_they_should() -> None:
    assert [shard_count(rows) for rows in (1, SHARD_ROWS, SHARD_ROWS + 1, 10 * SHARD_ROWS)] == [1, 1, 2, 10]


def test_a_file_that_claims_any_number_of_rows_gets_no_more_shards_than_their_numbers_can_tell_apart() -> None:
    numbers = np.arange(shard_count(10**18))
    assert (numbers.astype(np.uint16) == numbers).all()


ROUTE_WITH_FEW_FILES = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[2])))
from pregen.errors import SpoolError
from tests.pregen.generation.workshop import plain_rows, spool
try:
    print(sum(file.rows for file in spool(Path(sys.argv[1]), plain_rows(500), shards=200)))
except SpoolError as e:
    print(e.message)
"""


@pytest.mark.parametrize(
    ("hard", "answer"), [("4096", "500"), ("100", "456 files must be open at once, 100 are allowed here")]
)
def test_more_shards_than_files_may_usually_be_open_raise_the_limit_or_say_so(
    tmp_path: Path, hard: str, answer: str
) -> None:
    program = [sys.executable, "-c", ROUTE_WITH_FEW_FILES, str(tmp_path / "spool"), hard]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.startswith(answer)


FILE_LIMIT = """
import resource, signal, sys
from pathlib import Path
from pregen.errors import SpoolError
from tests.pregen.generation.workshop import plain_rows, spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails then, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    spool(Path(sys.argv[1]), plain_rows(1000))
except SpoolError as e:
    print(e.exit_code, e.message)
"""


@pytest.mark.parametrize("limit", [0, 10_000, 54_000])
def test_a_write_that_fails_says_where_and_what_to_do(tmp_path: Path, limit: int) -> None:
    program = [sys.executable, "-c", FILE_LIMIT, str(tmp_path / "spool"), str(limit)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.startswith(f"5 {tmp_path}/spool: writing spill files failed"), done.stdout + done.stderr
    assert "[run] spool" in done.stdout


def test_what_the_snapshot_raises_is_no_error_of_the_spill_files(tmp_path: Path) -> None:
    def batches() -> Iterator[StatusBatch]:
        yield batch_of(plain_rows(10))
        raise OSError(errno.EIO, "the snapshot's disk")

    with pytest.raises(OSError, match="the snapshot's disk") as caught:
        route(batches(), tmp_path, [0, KEY32], np.array(IDS[:1], np.uint64))
    assert not isinstance(caught.value, SpoolError)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256
