"""Packs: buckets of records, then their directory (FORMAT.md, section 4). Writer and reader side by side.

    magic (8) | bucket 0 | bucket 1 | ... | directory: u32 * (buckets + 1) | trailer (32)
    bucket:   CRC-32 | run count u16 | runs
    run:      run number u32 | record count u16 | records
    trailer:  magic (8) | version u16 | features u16 | bucket count u32 | pack id (16)

All integers are little-endian. A checksum covers the pack's id and the bucket's number, so that the right octets from
the wrong place are noticed.
"""

import re
import struct
import zlib
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from storage.errors import (
    BadMagicError,
    ChecksumError,
    MalformedError,
    TruncatedError,
    UnknownFeatureError,
    UnsupportedVersionError,
)

PACK_MAGIC = b"PREGEN\r\n"
PACK_VERSION = 1
PACK_ID_BYTES = 16
_MAX_PACK_BYTES = 0xFFFF_FFFF
PACK_NAME = re.compile("packs/[0-9a-f]{8}-([0-9a-f]{32})")
TRAILER = struct.Struct("<8sHHI16s")
CHECKSUM = struct.Struct("<I")
RUN_COUNT = struct.Struct("<H")
RUN_HEADER = struct.Struct("<IH")
RUNS_AT = CHECKSUM.size + RUN_COUNT.size
MAX_RUN_RECORDS = 0xFFFF
# A bucket is one read of the edge: about 8 KiB, whatever the size of records. Keys are scattered by chance, so some
# buckets are larger; beyond the limit a pack is cut more finely.
BUCKET_BYTES = 8192
MAX_BUCKET_BYTES = 1 << 16


class Segment(NamedTuple):
    """Consecutive records of one run in one bucket: octets [start, end) of block `block`."""

    bucket: int
    run: int
    block: int
    start: int
    end: int
    records: int


SegmentLike: TypeAlias = tuple[int, int, int, int, int, int]  # a `Segment`, or a bare tuple of the same


class Pack(NamedTuple):
    """A finished pack, and what a manifest says about its directory."""

    octets: bytearray
    directory_at: int
    directory_crc: int


def pack_name(low: int, pack_id: bytes) -> str:
    """Return the object name of a pack: its key range's low end, for order, and its random id, so that none collide.

    >>> pack_name(0x80000000, bytes(16))
    'packs/80000000-00000000000000000000000000000000'
    """
    return f"packs/{low:08x}-{pack_id.hex()}"


def pack_id(name: str) -> bytes:
    """Return the id that a pack's name carries."""
    match = PACK_NAME.fullmatch(name)
    if match is None:
        raise MalformedError(name, "is not the name of a pack")
    return bytes.fromhex(match[1])


def bucket_count(stored_bytes: int) -> int:
    """Return how many buckets hold records of `stored_bytes` in all.

    >>> bucket_count(8_100_000), bucket_count(10_000), bucket_count(0)
    (988, 1, 1)
    """
    return max(1, stored_bytes // BUCKET_BYTES)


def bucket_seed(identity: bytes, bucket: int) -> int:
    """Return the CRC-32 of what says where a bucket belongs; its own octets follow."""
    return zlib.crc32(identity + bucket.to_bytes(4, "little"))


def build_pack(
    identity: bytes,
    buckets: int,
    segments: Iterable[SegmentLike],
    blocks: Sequence[memoryview],
    name: str,
) -> Pack:
    """Return a pack made of segments, which must come in the order of their buckets, then of their runs.

    Args:
        identity: the pack's random id, 16 octets.
        buckets: how many there are; one without a segment is empty.
        segments: where the records lie, as `Segment` or as bare tuples of the same.
        blocks: contiguous records.
        name: for messages.
    """
    out, offsets = bytearray(PACK_MAGIC), array("I")
    start = count = 0

    def open_bucket() -> None:
        nonlocal start, count
        start, count = len(out), 0
        offsets.append(start)
        out.extend(bytes(RUNS_AT))

    def close_bucket() -> None:
        if len(out) > _MAX_PACK_BYTES:
            raise MalformedError(name, "would exceed 4 GiB: cut the snapshot into more shards")
        RUN_COUNT.pack_into(out, start + CHECKSUM.size, count)
        with memoryview(out) as view:
            CHECKSUM.pack_into(
                out, start, zlib.crc32(view[start + CHECKSUM.size :], bucket_seed(identity, len(offsets) - 1))
            )

    open_bucket()
    header = RUN_HEADER.pack
    for bucket, run, block, begin, end, records in segments:
        while len(offsets) <= bucket:
            close_bucket()
            open_bucket()
        if records > MAX_RUN_RECORDS:
            raise MalformedError(name, f"bucket {bucket} would hold {records} records in one run")
        out += header(run, records)
        out += blocks[block][begin:end]
        count += 1
    while len(offsets) < buckets:
        close_bucket()
        open_bucket()
    close_bucket()
    offsets.append(len(out))
    directory_at = len(out)
    out += _little_endian(offsets).tobytes()
    out += TRAILER.pack(PACK_MAGIC, PACK_VERSION, 0, buckets, identity)
    with memoryview(out) as view:
        return Pack(out, directory_at, zlib.crc32(view[directory_at:]))


def _little_endian(offsets: "array[int]") -> "array[int]":
    if struct.pack("=H", 1) != struct.pack("<H", 1):
        offsets.byteswap()
    return offsets


class PackReader:
    """One pack: its directory in memory, its buckets read when asked for.

    Args:
        name: the pack's object name.
        size: octets of the whole pack.
        directory: its octets from `directory_at` to the end.
        directory_at: where they begin.
        directory_crc: what the manifest says they sum up to.
        read: returns `length` octets from `start` on.

    Raises:
        FormatError: the directory is not what FORMAT.md says; first of all its kind and version are looked at.
    """

    __slots__ = ("_directory_at", "_offsets", "_read", "_seed", "buckets", "name")

    def __init__(
        self,
        name: str,
        size: int,
        directory: bytes,
        directory_at: int,
        directory_crc: int,
        read: Callable[[int, int], bytes],
    ) -> None:
        if len(directory) < TRAILER.size or directory_at + len(directory) != size:
            raise TruncatedError(name, f"has {directory_at + len(directory)} octets where {size} belong")
        magic, version, features, self.buckets, identity = TRAILER.unpack(directory[-TRAILER.size :])
        if magic != PACK_MAGIC:
            raise BadMagicError(name, "does not end as a pack does")
        if version != PACK_VERSION:
            raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {PACK_VERSION}")
        if features:
            raise UnknownFeatureError(name, f"uses feature bits {features:#06x}, which this reader does not know")
        if zlib.crc32(directory) != directory_crc:
            raise ChecksumError(name, "its directory is damaged, or is that of another pack")
        if identity != pack_id(name):
            raise MalformedError(name, f"has the id {identity.hex()}")
        table = directory[: -TRAILER.size]
        if not self.buckets or len(table) != 4 * (self.buckets + 1):
            raise MalformedError(name, f"has a directory of {len(table)} octets for {self.buckets} buckets")
        self._offsets = _little_endian(array("I", table))
        if self._offsets[0] != len(PACK_MAGIC) or self._offsets[-1] != directory_at:
            raise MalformedError(name, "has buckets that do not fill the room between magic and directory")
        self.name = name
        self._directory_at = directory_at
        self._seed = zlib.crc32(identity)  # each bucket's checksum goes on from here
        self._read = read

    @property
    def offsets(self) -> Sequence[int]:
        """Where each bucket begins, and where the last one ends."""
        return self._offsets

    def bucket(self, number: int) -> bytes:
        """Return a bucket's octets, checked; one ranged read.

        Raises:
            TruncatedError: a short read.
            ChecksumError: damaged, or another bucket's octets.
            MalformedError: bounds that no bucket has.
            OSError: the store does not answer.
        """
        start, end = self._offsets[number], self._offsets[number + 1]
        if not start + RUNS_AT <= end <= self._directory_at:
            raise MalformedError(self.name, f"bucket {number} has impossible bounds {start}..{end}")
        try:
            octets = self._read(start, end - start)
        except EOFError as e:
            raise TruncatedError(self.name, f"ends within bucket {number}") from e
        if len(octets) != end - start:
            raise TruncatedError(self.name, f"bucket {number}: {len(octets)} octets where {end - start} belong")
        seed = zlib.crc32(number.to_bytes(4, "little"), self._seed)
        if zlib.crc32(memoryview(octets)[CHECKSUM.size :], seed) != CHECKSUM.unpack_from(octets)[0]:
            raise ChecksumError(self.name, f"bucket {number} is damaged, or lies in the wrong place")
        return octets

    def damaged(self, number: int, detail: str) -> MalformedError:
        """Return the error for a bucket whose checksum holds, but whose parts contradict each other."""
        return MalformedError(self.name, f"bucket {number}: {detail}")


def open_pack(name: str, octets: bytes | bytearray, directory_at: int, directory_crc: int) -> PackReader:
    """Return a reader of a pack that is whole in memory.

    Raises:
        FormatError: its beginning or its directory is not what FORMAT.md says.
    """
    if octets[: len(PACK_MAGIC)] != PACK_MAGIC:
        raise BadMagicError(name, "does not begin as a pack does")
    view = memoryview(octets)
    return PackReader(
        name,
        len(octets),
        bytes(view[directory_at:]),
        directory_at,
        directory_crc,
        lambda start, length: bytes(view[start : start + length]),
    )


def walk(pack: PackReader, bucket: int, strides: Sequence[int]) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (run number, start, record count, the bucket's octets) for each run of a bucket.

    Args:
        pack: where the bucket lies.
        bucket: its number.
        strides: octets of a record, by run number.
    """
    octets = pack.bucket(bucket)
    (count,) = RUN_COUNT.unpack_from(octets, CHECKSUM.size)
    at, end = RUNS_AT, len(octets)
    for _ in range(count):
        if at + RUN_HEADER.size > end:
            raise pack.damaged(bucket, "a run is cut off")
        run, records = RUN_HEADER.unpack_from(octets, at)
        if run >= len(strides):
            raise pack.damaged(bucket, f"run {run} is not in the tables")
        start = at + RUN_HEADER.size
        at = start + records * strides[run]
        if at > end:
            raise pack.damaged(bucket, "records are cut off")
        yield run, start, records, octets
    if at != end:
        raise pack.damaged(bucket, f"{end - at} octets behind the last run")


def find(
    pack: PackReader, bucket: int, serial: bytes, strides: Sequence[int], wanted: Container[int]
) -> tuple[int, bytes] | None:
    """Return (run number, record) of a serial, or None.

    Args:
        pack: where to look.
        bucket: which bucket.
        serial: content octets, which begin the record.
        strides: octets of a record, by run number.
        wanted: numbers of the runs that hold records of the certificate's issuer and serial length.
    """
    for run, start, records, octets in walk(pack, bucket, strides):
        if run in wanted:
            stride = strides[run]
            end = start + records * stride
            hit = octets.find(serial, start, end)
            while hit >= 0:
                offset = (hit - start) % stride
                if offset == 0:
                    return run, octets[hit : hit + stride]
                hit = octets.find(serial, hit - offset + stride, end)  # that one stood within a signature
    return None
