"""What `Spool` says, held against a spool in a folder, in a store in a folder, and in a bucket."""

import os
import pickle
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pregen.errors import SpoolError
from pregen.generation.rows.bucket import StoreSpool, remove_abandoned, store_spool
from pregen.generation.rows.parts import SortedRows, pieces_of, spooled, write_part
from pregen.generation.rows.spill import SPILLED
from pregen.generation.rows.spool import PartRange, Spool, spool_folder
from pregen.generation.rows.spooling import open_spool, remove_left
from storage.markers import DEAD_AFTER_S, encode_marker
from storage.stores import LocalStore, StoreAddress, open_store
from tests.s3 import S3Server

NewSpool = Callable[[], AbstractContextManager[Spool]]


@pytest.fixture(params=["folder", "store", "s3"])
def new_spool(request: pytest.FixtureRequest, tmp_path: Path) -> NewSpool:
    """Open a spool, each in the same place."""
    if request.param == "folder":
        return lambda: spool_folder(tmp_path, 10)
    if request.param == "store":
        return lambda: store_spool(StoreAddress(str(tmp_path / "store")))
    server: S3Server = request.getfixturevalue("s3_environment")
    address = StoreAddress(f"s3://{server.new_bucket()}/spool")
    return lambda: open_spool(address, 10)


@pytest.fixture
def spool(new_spool: NewSpool) -> Iterator[Spool]:
    with new_spool() as spool:
        yield spool


def fetched(spool: Spool, *ranges: PartRange) -> bytes:
    octets = bytearray(sum(one.size_bytes for one in ranges))
    spool.fetch(ranges, memoryview(octets))
    return bytes(octets)


def put(spool: Spool, name: str, *pieces: bytes) -> None:
    spool.put(name, (memoryview(piece) for piece in pieces))


def test_ranges_come_back_in_the_order_in_which_they_are_asked_for(spool: Spool) -> None:
    put(spool, "a", b"0123", b"", b"456789")
    put(spool, "b", b"ABC")

    ranges = PartRange("b", 1, 2), PartRange("a", 3, 3), PartRange("a", 0, 10), PartRange("b", 0, 1)
    assert fetched(spool, *ranges) == b"BC3450123456789A"
    assert fetched(spool) == b""


def test_whoever_unpickles_a_spool_reaches_the_same_parts(spool: Spool) -> None:
    put(spool, "a", b"octets")
    copy: Spool = pickle.loads(pickle.dumps(spool))
    put(copy, "b", b"more")

    assert fetched(copy, PartRange("a", 0, 6)) == b"octets"
    assert fetched(spool, PartRange("b", 0, 4)) == b"more"


@pytest.mark.parametrize(("name", "size"), [("missing", 1), ("a", 7)])
def test_a_part_that_is_missing_or_too_short_is_named(spool: Spool, name: str, size: int) -> None:
    put(spool, "a", b"octets")
    with pytest.raises(SpoolError, match=re.escape(spool.place_of(name))) as caught:
        fetched(spool, PartRange("a", 0, 2), PartRange(name, 0, size))
    assert "nothing was published" in caught.value.message


def test_rows_of_many_parts_and_shards_come_back_in_the_order_of_the_snapshot(spool: Spool) -> None:
    random, shards = np.random.default_rng(5), 40
    rows = np.zeros(3_000, SPILLED)
    rows["row"] = np.arange(len(rows))
    shard = random.integers(0, shards - 1, len(rows)).astype(np.uint8)  # the last one has none
    chunks = [SortedRows.of(rows[at : at + 500], shard[at : at + 500], shards) for at in range(0, len(rows), 500)]
    parts = [write_part(spool, chunks[at : at + 2]) for at in range(0, 6, 2)]

    pieces = pieces_of(spool, parts, shards)

    for number, one in enumerate(pieces):
        expected = np.flatnonzero(shard == number)
        assert one.total == len(expected)
        copy = pickle.loads(pickle.dumps(one))
        assert copy.read()["row"].tolist() == expected.tolist()
    assert len(pickle.dumps(pieces[0])) < 2_000, "a task takes what its own shard needs"


def forged(octets: bytes, crc: int) -> bytes:
    """Return octets with other ones in the place of the last four, so that their CRC-32 is that one."""
    table = [zlib.crc32(bytes([one])) ^ zlib.crc32(b"\0") for one in range(256)]
    by_top = {value >> 24: at for at, value in enumerate(value ^ table[0] for value in table)}
    state = crc ^ 0xFFFFFFFF
    for _ in range(4):
        at = by_top[state >> 24]
        state = ((state ^ table[at]) << 8 & 0xFFFFFFFF) | at
    return octets[:-4] + (state ^ zlib.crc32(octets[:-4]) ^ 0xFFFFFFFF).to_bytes(4, "little")


def test_rows_that_somebody_has_changed_in_a_store_are_refused_though_their_crc_is_right(tmp_path: Path) -> None:
    rows = np.zeros(3, SPILLED)
    rows["code"] = 7
    rows["serial"] = b"\x11"
    with store_spool(StoreAddress(str(tmp_path))) as spool:
        pieces = spooled(spool, rows)
        path = tmp_path / spool.prefix / pieces.names[0]
        written = path.read_bytes()
        rows["code"] = 6
        path.write_bytes(forged(rows.tobytes(), zlib.crc32(written)))
        assert path.read_bytes() != written
        assert zlib.crc32(path.read_bytes()) == zlib.crc32(written)

        with pytest.raises(SpoolError, match=r"other octets than were written \(SHA-256 differs\)"):
            pieces.read()
        path.write_bytes(written)
        assert pieces.read()["code"].tolist() == [7, 7, 7]


def test_a_part_in_a_store_is_put_in_blocks_and_ranges_are_read_across_them(tmp_path: Path) -> None:
    with store_spool(StoreAddress(str(tmp_path))) as spool:
        small = replace(spool, block_bytes=4)
        octets = bytes(range(18))
        put(small, "a", octets[:3], octets[3:13], octets[13:])
        put(small, "b", octets[:8])

        assert {Path(one.name).name for one in open_store(spool.address).list(spool.prefix)} == {
            *("a", "a.1", "a.2", "a.3", "a.4"),
            *("b", "b.1"),
        }
        for start in range(18):
            for end in range(start, 19):
                ranges = PartRange("b", 2, 3), PartRange("a", start, end - start)
                assert fetched(small, *ranges) == octets[2:5] + octets[start:end]
        with pytest.raises(SpoolError, match="missing"):
            fetched(small, PartRange("b", 4, 5))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nothing_is_left_afterwards(new_spool: NewSpool, tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_spool() as spool:
            put(spool, "a", b"octets")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with new_spool() as spool:
        with pytest.raises(SpoolError):
            fetched(spool, PartRange("a", 0, 6))
        if isinstance(spool, StoreSpool):
            assert list(open_store(spool.address).list("parts/")) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("age_s", "left"), [(60, {"part"}), (DEAD_AFTER_S + 60, set[str]())])
def test_what_a_killed_run_left_in_a_store_goes_away_once_its_marker_is_dead(
    tmp_path: Path, age_s: int, left: set[str]
) -> None:
    store, theirs = LocalStore(tmp_path), "ab" * 16
    store.put(f"parts/{theirs}/part", b"rows")
    store.put(f"runs/{theirs}", encode_marker(1))
    os.utime(tmp_path / "runs" / theirs, (time.time() - age_s,) * 2)

    with store_spool(StoreAddress(str(tmp_path))) as spool:
        put(spool, "ours", b"octets")
        assert {Path(one.name).name for one in store.list("parts/")} == left | {"ours"}


def test_cleaning_removes_what_dead_runs_have_left_in_a_bucket_and_nothing_of_living_ones(
    s3_environment: S3Server,
) -> None:
    address = StoreAddress(f"s3://{s3_environment.new_bucket()}/spool")
    store = open_store(address)
    with store_spool(address) as spool:
        put(spool, "ours", b"octets")
        store.put("parts/" + "ab" * 16 + "/part", b"rows")  # its marker is gone

        assert remove_left(address, is_dry=True) == (1, 4)
        assert len(list(store.list("parts/"))) == 2
        assert remove_left(address) == (1, 4)
        assert remove_left(address) == (0, 0)
        assert fetched(spool, PartRange("ours", 0, 6)) == b"octets"
    assert list(store.list("")) == []


class WithoutClock(LocalStore):
    """A store that does not say what time it is."""

    def clock_s(self, *, may_write: bool = True) -> float | None:
        del may_write
        return None


@pytest.mark.parametrize(("age_s", "gone"), [(60, 0), (DEAD_AFTER_S + 60, 2)])
def test_a_store_without_a_clock_is_cleaned_by_that_of_this_machine_and_dead_markers_go_too(
    tmp_path: Path, age_s: int, gone: int
) -> None:
    store, theirs = WithoutClock(tmp_path), "ab" * 16
    store.put(f"parts/{theirs}/part", b"rows")
    store.put(f"runs/{theirs}", encode_marker(1))
    os.utime(tmp_path / "runs" / theirs, (time.time() - age_s,) * 2)

    assert len(remove_abandoned(store)) == gone
    assert len(list(store.list(""))) == 2 - gone


def test_a_store_that_is_away_is_named_before_a_row_is_read(s3_environment: S3Server) -> None:
    address = StoreAddress("s3://no-such-bucket/spool")
    with (
        pytest.raises(SpoolError, match="s3://no-such-bucket/spool: rows cannot be spooled there"),
        store_spool(address),
    ):
        pytest.fail("there is no such bucket")
