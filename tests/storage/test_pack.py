import zlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import ChecksumError, FormatError, MalformedError, TruncatedError
from storage.pack import (
    MAX_RUN_RECORDS,
    Pack,
    PackReader,
    Segment,
    bucket_count,
    build_pack,
    find,
    open_pack,
    pack_id,
    pack_name,
    walk,
)

IDENTITY = bytes(range(16))
NAME = pack_name(0, IDENTITY)
# Few different octets: serials share prefixes, and occur inside signatures and across records.
OCTETS = st.sampled_from(b"\0\1\2")


def few_octets(size: int) -> st.SearchStrategy[bytes]:
    return st.lists(OCTETS, min_size=size, max_size=size).map(bytes)


@dataclass(frozen=True, slots=True)
class Content:
    """Records by (bucket, run), and the sizes of serials and signatures by run."""

    buckets: int
    sizes: list[tuple[int, int]]
    records: dict[tuple[int, int], list[bytes]]

    @property
    def strides(self) -> list[int]:
        return [serial + signature for serial, signature in self.sizes]

    def serial(self, run: int, record: bytes) -> bytes:
        return record[: self.sizes[run][0]]


@st.composite
def contents(draw: st.DrawFn) -> Content:
    buckets = draw(st.integers(1, 4))
    sizes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=4))
    records: dict[tuple[int, int], list[bytes]] = {}
    for run, (serial, signature) in enumerate(sizes):
        for bucket in draw(st.sets(st.integers(0, buckets - 1))):
            unique = draw(st.sets(few_octets(serial), min_size=1, max_size=6))
            records[bucket, run] = [one + draw(few_octets(signature)) for one in sorted(unique)]
    return Content(buckets, sizes, records)


def built(content: Content) -> Pack:
    blocks, segments = [], []
    for index, ((bucket, run), records) in enumerate(sorted(content.records.items())):
        block = b"".join(records)
        blocks.append(memoryview(block))
        segments.append(Segment(bucket, run, index, 0, len(block), len(records)))
    return build_pack(IDENTITY, content.buckets, segments, blocks, NAME)


def opened(pack: Pack, octets: bytes | None = None) -> PackReader:
    return open_pack(NAME, pack.octets if octets is None else octets, pack.directory_at, pack.directory_crc)


@given(contents())
def test_walking_a_pack_gives_back_what_was_built(content: Content) -> None:
    reader = opened(built(content))
    found = {
        (bucket, run): [octets[start + i * stride :][:stride] for i in range(count)]
        for bucket in range(reader.buckets)
        for run, start, count, octets in walk(reader, bucket, content.strides)
        for stride in [content.strides[run]]
    }
    assert reader.buckets == content.buckets
    assert found == content.records


@given(contents())
def test_every_record_is_found_by_its_serial_in_its_own_run(content: Content) -> None:
    reader = opened(built(content))
    for (bucket, run), records in content.records.items():
        for record in records:
            assert find(reader, bucket, content.serial(run, record), content.strides, {run}) == (run, record)


@given(contents(), st.data())
def test_what_is_found_begins_a_record_of_a_wanted_run_and_nothing_else_is_found(
    content: Content, data: st.DataObject
) -> None:
    reader = opened(built(content))
    bucket = data.draw(st.integers(0, content.buckets - 1), label="bucket")
    size = data.draw(st.integers(1, 4), label="serial size")
    serial = data.draw(few_octets(size), label="serial")
    same_size = [run for run, (serial_bytes, _) in enumerate(content.sizes) if serial_bytes == size]
    wanted = data.draw(st.sets(st.sampled_from(same_size)) if same_size else st.just(set()), label="wanted runs")

    right = {
        (run, record)
        for (where, run), records in content.records.items()
        for record in records
        if where == bucket and run in wanted and content.serial(run, record) == serial
    }
    hit = find(reader, bucket, serial, content.strides, wanted)
    assert hit in right if right else hit is None


@given(contents(), st.data())
def test_any_damaged_octet_of_a_pack_is_noticed(content: Content, data: st.DataObject) -> None:
    pack = built(content)
    octets = bytearray(pack.octets)
    at = data.draw(st.integers(0, len(octets) - 1), label="damaged octet")
    octets[at] ^= data.draw(st.integers(1, 255), label="flipped bits")

    with pytest.raises(FormatError):  # noqa: PT012 - wherever it shows first
        reader = opened(pack, bytes(octets))
        for bucket in range(reader.buckets):
            reader.bucket(bucket)


@given(contents(), st.data())
def test_a_pack_cut_anywhere_is_noticed(content: Content, data: st.DataObject) -> None:
    pack = built(content)
    end = data.draw(st.integers(0, len(pack.octets) - 1), label="end")
    with pytest.raises(FormatError):
        opened(pack, bytes(pack.octets[:end]))


def two_buckets() -> tuple[Pack, list[int]]:
    content = Content(2, [(1, 2)], {(0, 0): [b"\1ab"], (1, 0): [b"\2cd"]})
    return built(content), content.strides


def test_right_octets_from_another_bucket_are_refused() -> None:
    pack, _ = two_buckets()
    size = (pack.directory_at - 8) // 2
    swapped = pack.octets[:8] + pack.octets[8 + size : 8 + 2 * size] + pack.octets[8 : 8 + size]
    with pytest.raises(ChecksumError, match="bucket 0 is damaged, or lies in the wrong place"):
        opened(pack, bytes(swapped + pack.octets[pack.directory_at :])).bucket(0)


def test_the_same_bucket_of_another_pack_is_refused() -> None:
    mine, _ = two_buckets()
    other = build_pack(bytes(16), 2, [Segment(0, 0, 0, 0, 3, 1)], [memoryview(b"\1ab")], NAME)
    size = (mine.directory_at - 8) // 2
    mixed = mine.octets[:8] + other.octets[8 : 8 + size] + mine.octets[8 + size :]
    with pytest.raises(ChecksumError):
        opened(mine, bytes(mixed)).bucket(0)


def served(pack: Pack, read: bytes | None) -> PackReader:
    """Return a reader of a store that gives `read` for every bucket, or says that the object ends before."""

    def answer(_start: int, _length: int) -> bytes:
        if read is None:
            raise EOFError
        return read

    directory = bytes(pack.octets[pack.directory_at :])
    return PackReader(NAME, len(pack.octets), directory, pack.directory_at, pack.directory_crc, answer)


@pytest.mark.parametrize("read", [b"", b"\0" * 5, None])
def test_a_short_read_is_an_error_of_its_own(read: bytes | None) -> None:
    pack, _ = two_buckets()
    with pytest.raises(TruncatedError, match="bucket 1"):
        served(pack, read).bucket(1)


def crafted(bucket: bytes) -> PackReader:
    """Return a pack with one bucket of these octets behind its checksum, and all checksums right: a wrong writer's."""
    trailer = bytes(build_pack(IDENTITY, 1, [], [], NAME).octets[-32:])
    summed = zlib.crc32(IDENTITY + bytes(4) + bucket).to_bytes(4, "little") + bucket
    end = 8 + len(summed)
    directory = (8).to_bytes(4, "little") + end.to_bytes(4, "little") + trailer
    return open_pack(NAME, b"PREGEN\r\n" + summed + directory, end, zlib.crc32(directory))


RUN_0 = bytes.fromhex("00000000")
CONTRADICTIONS = {
    "a run is cut off": bytes.fromhex("0100") + RUN_0[:3],
    "run 7 is not in the tables": bytes.fromhex("0100 07000000 0000"),
    "records are cut off": bytes.fromhex("0100") + RUN_0 + bytes.fromhex("0200") + b"abc",
    "1 octets behind the last run": bytes.fromhex("0100") + RUN_0 + bytes.fromhex("0100") + b"abcd",
    "3 octets behind the last run": bytes.fromhex("0000") + b"abc",
}


@pytest.mark.parametrize("detail", CONTRADICTIONS)
def test_a_bucket_that_contradicts_itself_is_malformed_for_walk_and_find(detail: str) -> None:
    pack = crafted(CONTRADICTIONS[detail])
    with pytest.raises(MalformedError, match=detail):
        list(walk(pack, 0, [3]))
    with pytest.raises(MalformedError, match=detail):
        find(pack, 0, b"z", [3], {0})


def test_a_bucket_that_would_hold_too_many_records_in_one_run_is_not_written() -> None:
    count = MAX_RUN_RECORDS + 1
    with pytest.raises(MalformedError, match="65536 records in one run"):
        build_pack(IDENTITY, 1, [Segment(0, 0, 0, 0, count, count)], [memoryview(bytes(count))], NAME)


def test_buckets_without_records_are_there_and_empty() -> None:
    pack = opened(build_pack(IDENTITY, 5, [Segment(2, 0, 0, 0, 3, 1)], [memoryview(b"\1ab")], NAME))
    assert [len(list(walk(pack, bucket, [3]))) for bucket in range(5)] == [0, 0, 1, 0, 0]
    assert find(pack, 0, b"\1", [3], {0}) is None


@given(stored=st.integers(0, 1 << 34))
def test_buckets_hold_some_eight_kib_whatever_the_size_of_records(stored: int) -> None:
    count = bucket_count(stored)
    assert count >= 1
    assert count == 1 or 8192 <= stored / count < 16384


@pytest.mark.parametrize("name", ["packs/0", "packs/00000000-00", "tables/" + "0" * 64, "../00000000-" + "0" * 32])
def test_what_is_no_name_of_a_pack_has_no_id(name: str) -> None:
    with pytest.raises(MalformedError, match="is not the name of a pack"):
        pack_id(name)
    assert pack_id(NAME) == IDENTITY
