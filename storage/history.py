"""What a generation leaves behind for the checks of the next run (FORMAT.md, section 7): writer and reader.

    part:   magic (8) | version u16 | features u16 | n u32 | keys u64 * n | words u24 * n | CRC-32
    index:  a document, which names the parts

Readers of answers need none of this. All integers are little-endian; a part's checksum covers its id, so that the right
octets from the wrong place are noticed. Keys and words are columns, which whoever compares takes as arrays.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from storage.document import Document, base64_text, encode
from storage.errors import (
    BadMagicError,
    ChecksumError,
    MalformedError,
    TruncatedError,
    UnknownFeatureError,
    UnsupportedVersionError,
)
from storage.stores.base import ReadableStore

HISTORY_VERSION = 1
MAGIC = b"PREGENH\n"
PART_ID_BYTES = 16
PART_NAME = re.compile("history/([0-9a-f]{32})")
INDEX_NAME = re.compile("history/[0-9a-f]{64}")
HEADER = struct.Struct("<8sHHI")
CHECKSUM = struct.Struct("<I")
KEY_BYTES, WORD_BYTES = 8, 3
ENTRY_BYTES = KEY_BYTES + WORD_BYTES
# A word: the status in the lower two bits, in the upper 22 not_after in units of 1,024 seconds since 1970, rounded
# down, so that no certificate that has expired looks as if it had not.
STATUS_BITS = 2
UNIT_S = 1 << 10
NEVER = (1 << 22) - 1  # expires in the last 1,024 seconds before 2106-02-07T06:28:16Z, later, or never
STATUSES = ("good", "revoked", "on-hold", "unknown")
WITNESS_BYTES = 24  # key u64, not_before i64, revoked_at i64


class Entry(NamedTuple):
    """What is remembered of one certificate.

    Attributes:
        key: XXH64 of its serial, seeded with its issuer's id.
        status: one of `STATUSES`.
        not_after: in seconds since 1970, up to 1,023 too early; None: very late, or never.
    """

    key: int
    status: str
    not_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPart:
    """The entries of the certificates with keys whose upper 32 bits are from `low` up to below `high`.

    Attributes:
        low, high: the key range.
        name: object name.
        rows: how many entries.
        size_bytes: octets of the whole object.
        crc: its last four octets, as a number.
    """

    low: int
    high: int
    name: str
    rows: int
    size_bytes: int
    crc: int


@dataclass(frozen=True, slots=True)
class IssuerHistory:
    """What is remembered of one issuer.

    Attributes:
        certificates: with answers.
        newest: greatest not_before of them that was not after as_of, in seconds since 1970, in the last generation
            that had any; None: none ever had.
        until: the second up to which issuance was dense (as_of - lag), in that generation; None as there.
        lags: how far issuance was behind as_of, in seconds, of the latest generations, the latest first; those without
            new issuances are left out, and those whose lag was refused and accepted by name.
        silence_s: how many seconds without issuances are usual, of the last generation with new issuances; None: too
            little was known.
        accepted: how many generations in a row, up to this one, had a lag that was refused and accepted by name.
        stopped_s: how long a silence was accepted by name, in seconds, since issuance has stopped; 0: it has not, or
            nobody has accepted that.
        holes: silences of the last weeks that were found to be unusual: from and to, in seconds since 1970.
    """

    certificates: int
    newest: int | None
    until: int | None = None
    lags: tuple[int, ...] = ()
    silence_s: int | None = None
    accepted: int = 0
    stopped_s: int = 0
    holes: tuple[tuple[int, int], ...] = ()


NOTHING_REVOKED = IssuerHistory(0, None)
_REVOCATIONS_ID = 0  # what revocations have in the place of an issuer's id; no issuer has it


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryIndex:
    """All that one generation leaves behind.

    Attributes:
        as_of: of its snapshot, in seconds since 1970.
        parts: by ascending keys, not overlapping; where there is no certificate, there is none.
        issuers: by issuer id.
        revocations: the same of all revocations together, as if one issuer issued them.
        witnesses: certificates with their times, `WITNESS_BYTES` each, by ascending keys.
        anchored: columns whose time zone was proved, and issuers of whose CRLs an entry had a row.
    """

    as_of: int
    parts: tuple[HistoryPart, ...]
    issuers: Mapping[int, IssuerHistory]
    witnesses: bytes
    anchored: tuple[str, ...]
    revocations: IssuerHistory = NOTHING_REVOKED


class Columns(NamedTuple):
    """The entries of a part: u64 and u24 by entry, little-endian, by ascending keys."""

    keys: bytes | memoryview
    words: bytes | memoryview


def part_name(identity: bytes) -> str:
    """Return the object name of a part with this random id, which 16 octets are."""
    return f"history/{identity.hex()}"


def word(status: str, not_after: int | None) -> int:
    """Return the word of an entry; times before 1970 become 0.

    >>> word("revoked", 2_048_000_001) == 2_000_000 << 2 | 1
    True
    >>> word("good", None) == word("good", 2**40) == NEVER << 2
    True
    """
    units = NEVER if not_after is None else min(max(not_after, 0) // UNIT_S, NEVER)
    return units << STATUS_BITS | STATUSES.index(status)


def encode_part(identity: bytes, low: int, high: int, columns: Columns) -> tuple[HistoryPart, bytes]:
    """Return a part and its octets.

    Args:
        identity: its random id, 16 octets.
        low: lowest upper half of a key.
        high: the one behind the highest.
        columns: its entries.
    """
    count = len(columns.keys) // KEY_BYTES
    body = b"".join((HEADER.pack(MAGIC, HISTORY_VERSION, 0, count), columns.keys, columns.words))
    crc = zlib.crc32(body, zlib.crc32(identity))
    octets = body + CHECKSUM.pack(crc)
    name = part_name(identity)
    if len(columns.words) != count * WORD_BYTES:
        raise MalformedError(name, "would have more keys than words, or fewer")
    return HistoryPart(low=low, high=high, name=name, rows=count, size_bytes=len(octets), crc=crc), octets


def decode_part(part: HistoryPart, octets: bytes) -> Columns:
    """Return the entries of a part.

    Raises:
        FormatError: it is damaged, or not what its index says.
    """
    name = part.name
    match = PART_NAME.fullmatch(name)
    if match is None:
        raise MalformedError(name, "is not the name of a part of a history")
    if len(octets) != part.size_bytes or len(octets) < HEADER.size + CHECKSUM.size:
        raise TruncatedError(name, f"has {len(octets)} octets where {part.size_bytes} belong")
    magic, version, features, count = HEADER.unpack_from(octets)
    if magic != MAGIC:
        raise BadMagicError(name, "does not begin as a part of a history does")
    if version != HISTORY_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {HISTORY_VERSION}")
    if features:
        raise UnknownFeatureError(name, f"uses feature bits {features:#06x}, which this reader does not know")
    view = memoryview(octets)
    crc = zlib.crc32(view[: -CHECKSUM.size], zlib.crc32(bytes.fromhex(match[1])))
    if crc != part.crc or CHECKSUM.unpack_from(octets, len(octets) - CHECKSUM.size)[0] != crc:
        raise ChecksumError(name, "is damaged, or is another part")
    if count != part.rows or len(octets) != HEADER.size + count * ENTRY_BYTES + CHECKSUM.size:
        raise MalformedError(name, f"has {count} entries in {len(octets)} octets where {part.rows} belong")
    words_at = HEADER.size + count * KEY_BYTES
    return Columns(view[HEADER.size : words_at], view[words_at : -CHECKSUM.size])


def read_part(store: ReadableStore, part: HistoryPart) -> Columns:
    """Return the entries of a stored part.

    Raises:
        FormatError: it is damaged.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    return decode_part(part, store.get(part.name))


def entries(columns: Columns) -> Iterator[Entry]:
    """Yield the entries one by one: for tools and tests."""
    for at, (key,) in enumerate(struct.iter_unpack("<Q", columns.keys)):
        value = int.from_bytes(columns.words[at * WORD_BYTES : (at + 1) * WORD_BYTES], "little")
        units = value >> STATUS_BITS
        yield Entry(key, STATUSES[value & 3], None if units == NEVER else units * UNIT_S)


def encode_index(index: HistoryIndex) -> tuple[str, bytes]:
    """Return the object name of an index, and its octets."""
    issuers = [*sorted(index.issuers.items()), (_REVOCATIONS_ID, index.revocations)]
    octets = encode(
        {
            "version": HISTORY_VERSION,
            "as_of": index.as_of,
            "parts": [
                {
                    "low": part.low,
                    "high": part.high,
                    "part": part.name,
                    "rows": part.rows,
                    "size": part.size_bytes,
                    "crc": f"{part.crc:08x}",
                }
                for part in index.parts
            ],
            "issuers": [
                {
                    "id": f"{issuer_id:016x}",
                    "certificates": one.certificates,
                    "newest": one.newest,
                    "until": one.until,
                    "silence_s": one.silence_s,
                    "accepted": one.accepted,
                    "stopped_s": one.stopped_s,
                    "holes": [list(hole) for hole in one.holes],
                }
                for issuer_id, one in issuers
            ],
            "lags": [list(one.lags) for _, one in issuers],
            "witnesses": base64_text(index.witnesses),
            "anchored": list(index.anchored),
        }
    )
    return _index_name(octets), octets


def read_index(store: ReadableStore, name: str) -> HistoryIndex:
    """Return what a generation left behind.

    Args:
        store: where it is.
        name: what its manifest says.

    Raises:
        FormatError: it is damaged.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    if not INDEX_NAME.fullmatch(name):
        raise MalformedError(name, "is not the name of a history")
    octets = store.get(name)
    if _index_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    if (version := document.number("version")) != HISTORY_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {HISTORY_VERSION}")
    parts = tuple(_read_part(item) for item in document.children("parts"))
    ends = [0, *(part.high for part in parts)]
    if any(part.low < end for part, end in zip(parts, ends, strict=False)):
        raise MalformedError(name, "has parts that overlap, or are out of order")
    items, lags = tuple(document.children("issuers")), document.numbers("lags")
    if len(items) != len(lags):
        raise MalformedError(name, f"has lags of {len(lags)} issuers where {len(items)} belong")
    ids = [int.from_bytes(item.hexadecimal("id", 8), "big") for item in items]
    issuers = {one: _read_issuer(item, its) for one, item, its in zip(ids, items, lags, strict=True)}
    if len(issuers) < len(ids):
        raise MalformedError(name, "has issuers that are there twice")
    if not ids or ids[-1] != _REVOCATIONS_ID:
        raise MalformedError(name, "does not end its issuers with the revocations, whose id is 0")
    revocations = issuers.pop(_REVOCATIONS_ID)
    witnesses = document.octets("witnesses")
    if len(witnesses) % WITNESS_BYTES:
        raise MalformedError(name, f"has witnesses of {len(witnesses)} octets, which {WITNESS_BYTES} does not divide")
    return HistoryIndex(
        as_of=document.instant("as_of"),
        parts=parts,
        issuers=issuers,
        witnesses=witnesses,
        anchored=document.texts("anchored"),
        revocations=revocations,
    )


def _index_name(octets: bytes) -> str:
    return f"history/{hashlib.sha256(octets).hexdigest()}"


def _read_part(item: Document) -> HistoryPart:
    part = HistoryPart(
        low=item.number("low", 1 << 32),
        high=item.number("high", (1 << 32) + 1),
        name=item.object_name("part", PART_NAME),
        rows=item.number("rows", 1 << 32),
        size_bytes=item.number("size", 1 << 40),
        crc=int.from_bytes(item.hexadecimal("crc", 4), "big"),
    )
    if part.low >= part.high:
        item.fail("holds no keys")
    return part


def _read_holes(item: Document) -> tuple[tuple[int, int], ...]:
    holes = item.numbers("holes")
    if any(len(hole) != 2 or hole[0] >= hole[1] for hole in holes):
        item.fail("has holes that do not begin before they end")
    return tuple((start, end) for start, end in holes)


def _read_issuer(item: Document, lags: tuple[int, ...]) -> IssuerHistory:
    return IssuerHistory(
        certificates=item.number("certificates"),
        newest=item.number("newest") if item.has("newest") else None,
        until=item.number("until") if item.has("until") else None,
        lags=lags,
        silence_s=item.number("silence_s") if item.has("silence_s") else None,
        accepted=item.number("accepted"),
        stopped_s=item.number("stopped_s"),
        holes=_read_holes(item),
    )
