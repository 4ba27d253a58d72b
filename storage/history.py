"""What a generation leaves behind for the checks of the next run (HISTORY.md): writer and reader.

    part:   magic (8) | version u16 | features u16 | n u32 | keys u64 * n | words u24 * n | CRC-32
    index:  a document, which names the parts, those of overlays (`storage.overlay_part`), and those of revocations
            whose certificates have ended (`storage.ended_part`)

Readers of answers need none of this. Keys and words are columns, which whoever compares takes as arrays.
"""

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from storage.document import Document, base64_text, encode
from storage.ended_part import EndedPart
from storage.errors import ChecksumError, MalformedError, UnsupportedVersionError
from storage.overlay_part import OverlayPart
from storage.pack import PACK_NAME
from storage.sealed import SEALED_NAME, SealedPart, seal, sealed_name, unseal
from storage.stores.base import ReadableStore

HISTORY_VERSION = 1
_MAGIC = b"PREGENH\n"
PART_NAME = SEALED_NAME
INDEX_NAME = re.compile("history/[0-9a-f]{64}")
DIGEST_BYTES = 32
_KEY_BYTES, WORD_BYTES = 8, 3
_ENTRY_BYTES = _KEY_BYTES + WORD_BYTES
# A word: the status in the lower two bits, in the upper 22 not_after in units of 1,024 seconds since 1970, rounded
# down, so that no certificate that has expired looks as if it had not.
STATUS_BITS = 2
EXPIRY_UNIT_S = 1 << 10
NO_EXPIRY_UNITS = (1 << 22) - 1  # expires in the last 1,024 seconds before 2106-02-07T06:28:16Z, later, or never
REMEMBERED_STATUSES = ("good", "revoked", "on-hold", "unknown")
WITNESS_BYTES = 24  # key u64, not_before i64, revoked_at i64


class HistoryEntry(NamedTuple):
    """What is remembered of one certificate.

    Attributes:
        key: XXH64 of its serial, seeded with its issuer's id.
        status: one of `REMEMBERED_STATUSES`.
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
        digest: of all that the shard was made from, 32 octets: the next run may keep its pack where the same would be
            made again. None: something was left out of it, or nobody knows.
    """

    low: int
    high: int
    name: str
    rows: int
    size_bytes: int
    crc: int
    digest: bytes | None = None


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
        overlays: one for each pack of the manifest's overlays, in the same order; none at all where the publisher did
            not know of such.
        witnesses: certificates with their times, `WITNESS_BYTES` each, by ascending keys.
        anchored: columns whose time zone was proved, and issuers of whose CRLs an entry had a row.
        ended: what was revoked for good, and has no answers any more since its certificate has ended; by ascending
            keys, not overlapping.
    """

    as_of: int
    parts: tuple[HistoryPart, ...]
    issuers: Mapping[int, IssuerHistory]
    witnesses: bytes
    anchored: tuple[str, ...]
    revocations: IssuerHistory = NOTHING_REVOKED
    overlays: tuple[OverlayPart, ...] = ()
    ended: tuple[EndedPart, ...] = ()


class Columns(NamedTuple):
    """The entries of a part: u64 and u24 by entry, little-endian, by ascending keys."""

    keys: bytes | memoryview
    words: bytes | memoryview


def word(status: str, not_after: int | None) -> int:
    """Return the word of an entry; times before 1970 become 0.

    >>> word("revoked", 2_048_000_001) == 2_000_000 << 2 | 1
    True
    >>> word("good", None) == word("good", 2**40) == NO_EXPIRY_UNITS << 2
    True
    """
    units = NO_EXPIRY_UNITS if not_after is None else min(max(not_after, 0) // EXPIRY_UNIT_S, NO_EXPIRY_UNITS)
    return units << STATUS_BITS | REMEMBERED_STATUSES.index(status)


def encode_part(identity: bytes, low: int, high: int, columns: Columns) -> tuple[HistoryPart, bytes]:
    """Return a part and its octets.

    Args:
        identity: its random id, 16 octets.
        low: lowest upper half of a key.
        high: the one behind the highest.
        columns: its entries.
    """
    name, count = sealed_name(identity), len(columns.keys) // _KEY_BYTES
    if len(columns.words) != count * WORD_BYTES:
        raise MalformedError(name, "would have more keys than words, or fewer")
    octets, crc = seal(identity, _MAGIC, count, columns.keys, columns.words)
    return HistoryPart(low=low, high=high, name=name, rows=count, size_bytes=len(octets), crc=crc), octets


def is_part_of(part: HistoryPart, columns: Columns) -> bool:
    """Tell whether a stored part has these entries, by its rows and its checksum: it is not read.

    Others are taken for the same once in four billion times.
    """
    match = PART_NAME.fullmatch(part.name)
    if match is None or len(columns.keys) != part.rows * _KEY_BYTES:
        return False
    return encode_part(bytes.fromhex(match[1]), part.low, part.high, columns)[0].crc == part.crc


def decode_part(part: HistoryPart, octets: bytes) -> Columns:
    """Return the entries of a part.

    Raises:
        FormatError: it is damaged, or not what its index says.
    """
    view = unseal(part, octets, _MAGIC, _ENTRY_BYTES)
    words_at = part.rows * _KEY_BYTES
    return Columns(view[:words_at], view[words_at:])


def read_part(store: ReadableStore, part: HistoryPart) -> Columns:
    """Return the entries of a stored part.

    Raises:
        FormatError: it is damaged.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    return decode_part(part, store.get(part.name))


def entries(columns: Columns) -> Iterator[HistoryEntry]:
    """Yield the entries one by one: for tools and tests."""
    for at, (key,) in enumerate(struct.iter_unpack("<Q", columns.keys)):
        value = int.from_bytes(columns.words[at * WORD_BYTES : (at + 1) * WORD_BYTES], "little")
        units = value >> STATUS_BITS
        yield HistoryEntry(
            key, REMEMBERED_STATUSES[value & 3], None if units == NO_EXPIRY_UNITS else units * EXPIRY_UNIT_S
        )


def encode_index(index: HistoryIndex) -> tuple[str, bytes]:
    """Return the object name of an index, and its octets."""
    issuers = [*sorted(index.issuers.items()), (_REVOCATIONS_ID, index.revocations)]
    octets = encode(
        {
            "version": HISTORY_VERSION,
            "as_of": index.as_of,
            "parts": [
                {
                    **_ranged_document(part),
                    **({} if part.digest is None else {"digest": part.digest.hex()}),
                }
                for part in index.parts
            ],
            "overlays": [{"pack": part.pack, **_sealed_document(part)} for part in index.overlays],
            **(
                {"ended": [{**_ranged_document(part), "oldest": part.oldest} for part in index.ended]}
                if index.ended
                else {}
            ),
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


def _ranged_document(part: HistoryPart | EndedPart) -> dict[str, object]:
    return {"low": part.low, "high": part.high, **_sealed_document(part)}


def _sealed_document(part: SealedPart) -> dict[str, object]:
    return {"part": part.name, "rows": part.rows, "size": part.size_bytes, "crc": f"{part.crc:08x}"}


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
    ended = tuple(_read_ended(item) for item in document.children("ended")) if document.has("ended") else ()
    for ranges in ([(part.low, part.high) for part in parts], [(part.low, part.high) for part in ended]):
        ends = [0, *(high for _, high in ranges)]
        if any(low < end for (low, _), end in zip(ranges, ends, strict=False)):
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
        overlays=tuple(_read_overlay(item) for item in document.children("overlays"))
        if document.has("overlays")
        else (),
        ended=ended,
    )


def _index_name(octets: bytes) -> str:
    return f"history/{hashlib.sha256(octets).hexdigest()}"


def _read_part(item: Document) -> HistoryPart:
    digest = item.hexadecimal("digest", DIGEST_BYTES) if item.has("digest") else None
    return HistoryPart(**_read_range(item), **_read_sealed(item), digest=digest)


def _read_overlay(item: Document) -> OverlayPart:
    return OverlayPart(pack=item.object_name("pack", PACK_NAME), **_read_sealed(item))


def _read_ended(item: Document) -> EndedPart:
    return EndedPart(**_read_range(item), **_read_sealed(item), oldest=item.number("oldest", 1 << 16))


class _RangeMembers(TypedDict):
    low: int
    high: int


class _SealedMembers(TypedDict):
    name: str
    rows: int
    size_bytes: int
    crc: int


def _read_range(item: Document) -> _RangeMembers:
    found = _RangeMembers(low=item.number("low", 1 << 32), high=item.number("high", (1 << 32) + 1))
    if found["low"] >= found["high"]:
        item.fail("holds no keys")
    return found


def _read_sealed(item: Document) -> _SealedMembers:
    return _SealedMembers(
        name=item.object_name("part", PART_NAME),
        rows=item.number("rows", 1 << 32),
        size_bytes=item.number("size", 1 << 40),
        crc=int.from_bytes(item.hexadecimal("crc", 4), "big"),
    )


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
