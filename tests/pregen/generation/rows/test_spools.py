"""What `Spool` says, held against a spool in a folder, in a store in a folder, and in a bucket."""

import os
import pickle
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from pregen.errors import SpoolError
from pregen.generation.rows.bucket import StoreSpool, store_spool
from pregen.generation.rows.parts import SortedRows, pieces_of, write_part
from pregen.generation.rows.spill import SPILLED
from pregen.generation.rows.spool import PartRange, Spool, open_spool, spool_folder
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


def test_a_store_that_is_away_is_named_before_a_row_is_read(s3_environment: S3Server) -> None:
    address = StoreAddress("s3://no-such-bucket/spool")
    with (
        pytest.raises(SpoolError, match="s3://no-such-bucket/spool: rows cannot be spooled there"),
        store_spool(address),
    ):
        pytest.fail("there is no such bucket")
