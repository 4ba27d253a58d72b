"""What CRLs and anchors say of certificates, by key, to be held against the rows of each shard.

A shard's rows lie by ascending keys, and so do claims: those of one shard go to whoever surveys it, and a row is
compared only where key, issuer and serial are those of a claim. The parent knows where each claim came from.

    own       the certificate as its source has it: a row that is good or unknown may contradict it
    foreign   the same serial under the label of another issuer: rows of a wrong label look so. A sample of the entries
              is enough, since files and joins are mislabelled as a whole
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.detector import CertificateAnchor
from pregen.gates.listed import SAYS_FINAL, SAYS_NOTHING, says
from pregen.generation.comparing.held import STRANGER, Contradiction, Held
from pregen.generation.rows.groups import IS_REVOKED, RESPONSE_KINDS
from pregen.generation.rows.rows import ShardRows
from pregen.generation.rows.spill import AGAIN_BIT, FLAGS, ROW_BYTES, SERIAL_AT, Spilled, clipped
from pregen.issuers import Issuer
from pregen.names import name_key
from pregen.routing_key import serial_matrix, serial_octets, serial_offsets, xxh64
from pregen.snapshot import MAX_SERIAL_BYTES, RevocationList
from storage.overlay_part import NO_EXPIRY_32

MOST_FOREIGN = 1 << 19  # claims about other labels, of all sources together
# `entry` numbers the certificates that sources speak of, `issuer` is the label under which one is looked for; `at` is
# when it was revoked, or of a certificate its not_after, in 32 bits; a serial has `size` octets, the rest is zero.
CLAIM = np.dtype(
    [
        ("key", "<u8"),
        ("entry", "<i4"),
        ("issuer", "<i4"),
        ("at", "<u4"),
        ("says", "u1"),
        ("is_foreign", "?"),
        ("is_certificate", "?"),
        ("size", "u1"),
        ("serial", "u1", (MAX_SERIAL_BYTES,)),
    ]
)
ClaimArray = NDArray[np.void]
NO_CLAIMS = np.empty(0, CLAIM)


@dataclass(frozen=True, slots=True)
class ClaimSource:
    """Where claims come from: a file that an issuer (its index) signed, and the number of its first entry."""

    path: Path
    issuer: int
    first: int
    is_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims, `CLAIM`[n] by ascending keys; their sources, by ascending entries; and the first issuers of a name.

    `namesake` is int32[issuers]. `entries` is how many certificates CRLs say are revoked.
    """

    array: ClaimArray = field(default_factory=lambda: NO_CLAIMS)
    sources: tuple[ClaimSource, ...] = ()
    namesake: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    entries: int = 0

    def split(self, ranges: Sequence[tuple[int, int]]) -> list[ClaimArray]:
        """Return those of keys whose upper halves are in each range [low, high)."""
        halves = self.array["key"] >> np.uint64(32)
        ends = np.searchsorted(halves, np.array(ranges, np.uint64).reshape(-1, 2))
        return [self.array[start:end] for start, end in ends.tolist()]

    def places(self, entries: NDArray[np.int32]) -> NDArray[np.intp]:
        """Return the indices of the sources of entries."""
        return np.searchsorted(np.array([one.first for one in self.sources]), entries, "right") - 1


def make_claims(
    lists: Sequence[RevocationList],
    certificates: Sequence[CertificateAnchor],
    issuers: Sequence[Issuer],
    as_of: int,
    skew_s: int,
) -> Claims:
    """Return what CRLs and issued certificates say.

    Args:
        lists: CRLs.
        certificates: anchors.
        issuers: as configured.
        as_of: of the snapshot, in seconds since 1970.
        skew_s: how far clocks may disagree.
    """
    namesake = _namesakes(issuers)
    others = len(set(namesake.tolist())) > 1
    step = -(-sum(len(one.entries) for one in lists) * len(issuers) // MOST_FOREIGN) or 1
    own: list[ClaimArray] = [NO_CLAIMS]
    sample: list[ClaimArray] = [NO_CLAIMS]
    sources: list[ClaimSource] = []
    entries = first = 0
    for one, said in zip(lists, says(lists, namesake, as_of, skew_s), strict=True):
        claims = _listed(one, said, first)
        sources.append(ClaimSource(one.path, one.issuer, first))
        first += len(claims)
        told = claims[said != SAYS_NOTHING]
        sample += [told[::step]] if others else []
        own += [told[::step] if one.tells_statuses and others else told[told["says"] != SAYS_NOTHING]]
        entries += len(told)
    for anchor in certificates if others else ():
        claim = _described(np.frombuffer(anchor.serial, np.uint8), np.array([0, len(anchor.serial)]), first)
        claim["at"], claim["is_certificate"] = clipped(np.array([anchor.not_after])), True
        claim["issuer"] = anchor.issuer
        sources.append(ClaimSource(anchor.path, anchor.issuer, first, is_certificate=True))
        first += 1
        own.append(claim)
        sample.append(claim)
    parts = [*_labelled(own, namesake, issuers), *_labelled(sample, namesake, issuers, are_foreign=True)]
    array = np.concatenate([NO_CLAIMS, *parts])
    return Claims(array[np.lexsort((~array["says"], array["key"]))], tuple(sources), namesake, entries)


def _namesakes(issuers: Sequence[Issuer]) -> NDArray[np.int32]:
    first: dict[str, int] = {}
    return np.array([first.setdefault(name_key(one.subject), at) for at, one in enumerate(issuers)], np.int32)


def _listed(one: RevocationList, said: NDArray[np.uint8], first: int) -> ClaimArray:
    """Return what a CRL says of its entries; `issuer` is who signed it."""
    claims = _described(serial_octets(one.entries.serial), serial_offsets(one.entries.serial), first)
    claims["at"], claims["issuer"] = clipped(one.entries.revoked_at), one.issuer
    if not one.tells_statuses:  # rows are what it says
        claims["says"] = said
    return claims


def _described(octets: NDArray[np.uint8], offsets: NDArray[np.int32] | NDArray[np.int64], first: int) -> ClaimArray:
    """Return claims with serials and numbers of entries; what is too long for any certificate has no octet."""
    sizes = np.diff(offsets)
    claims = np.zeros(len(sizes), CLAIM)
    claims["entry"] = np.arange(first, first + len(sizes))
    start, end = int(offsets[0]), int(offsets[-1])
    padded = np.append(octets[start:end], np.zeros(MAX_SERIAL_BYTES, np.uint8))
    matrix = serial_matrix(padded, (offsets[:-1] - start).astype(np.intp), MAX_SERIAL_BYTES).copy()
    matrix[np.arange(MAX_SERIAL_BYTES) >= sizes[:, None]] = 0
    claims["serial"] = matrix
    claims["size"] = np.where(sizes <= MAX_SERIAL_BYTES, sizes, 0)
    return claims


def _with_other_signs(claims: ClaimArray) -> ClaimArray:
    """Return claims, and those of CRLs again as those about the other sign: programs forget an octet 00, or add one."""
    told = claims[~claims["is_certificate"] & (claims["says"] != SAYS_NOTHING)]
    top = told["serial"] >> 7 == 1
    longer: ClaimArray = told[top[:, 0] & (told["size"] < MAX_SERIAL_BYTES)]
    longer["serial"] = np.roll(longer["serial"], 1, axis=1)  # what comes to the front was filling, and is 00
    longer["size"] += 1
    shorter: ClaimArray = told[(told["serial"][:, 0] == 0) & top[:, 1] & (told["size"] > 1)]
    shorter["serial"] = np.roll(shorter["serial"], -1, axis=1)
    shorter["size"] -= 1
    return np.concatenate([claims, longer, shorter])


def _labelled(
    parts: Sequence[ClaimArray], namesake: NDArray[np.int32], issuers: Sequence[Issuer], *, are_foreign: bool = False
) -> Iterator[ClaimArray]:
    """Yield claims with keys, under every label of the signer's name, or under all others."""
    claims = np.concatenate([NO_CLAIMS, *parts])
    claims = claims[claims["size"] > 0]
    claims = _with_other_signs(claims)
    signers = namesake[claims["issuer"]]
    for index, issuer in enumerate(issuers):
        if issuer.is_further_name:  # its rows are those of the first name, again
            continue
        chosen = claims[(signers != namesake[index]) if are_foreign else (signers == namesake[index])]
        chosen["issuer"], chosen["is_foreign"] = index, are_foreign
        for size in np.unique(chosen["size"]).tolist():
            rows = np.flatnonzero(chosen["size"] == size)
            serials = np.ascontiguousarray(chosen["serial"][rows, :size])
            chosen["key"][rows] = xxh64(serials, np.array([issuer.issuer_id], np.uint64))
        yield chosen


def hold_against(rows: ShardRows, claims: ClaimArray) -> Held:
    """Return what claims, by ascending keys, say against the rows of a shard."""
    if not len(claims):
        return Held()
    left_out, their_claims = _left_out(rows.left_out, claims)
    left, right = (np.searchsorted(rows.keys, claims["key"], side) for side in ("left", "right"))
    counts = right - left
    which = np.repeat(np.arange(len(claims)), counts)
    place = np.repeat(left - np.cumsum(counts) + counts, counts) + np.arange(len(which))
    same = _are_same(rows, place, claims[which])
    place, found = place[same], claims[which[same]]
    kind = rows.codes[place] & 3
    wrong = np.flatnonzero(~IS_REVOKED[kind] & (found["says"] != SAYS_NOTHING) & ~found["is_foreign"])
    # A row may be on several CRLs: what is final comes first, and counts alone.
    wrong = wrong[np.unique(place[wrong], return_index=True)[1]]
    finals = found["says"][wrong] == SAYS_FINAL
    shown = np.concatenate([some[:MAX_EXAMPLES] for some in (wrong[finals], wrong[~finals])])
    return Held(
        final=int(np.count_nonzero(finals)),
        hold=int(np.count_nonzero(~finals)),
        examples=tuple(_contradictions(rows.spilled(place[shown]), found[shown])),
        left_out=len(left_out),
        left_out_examples=tuple(_contradictions(left_out[:MAX_EXAMPLES], their_claims[:MAX_EXAMPLES])),
        own=found["entry"][~found["is_foreign"]],
        strangers=_strangers(rows, place[found["is_foreign"]], found[found["is_foreign"]]),
    )


def _are_same(rows: ShardRows, place: NDArray[np.intp], claims: ClaimArray) -> NDArray[np.bool_]:
    """Return which rows are of the certificates of the claims beside them: 64-bit keys may be equal by chance.

    Rows that are there once more, for a further name or key of their issuer, are none.
    """
    codes = rows.spilled(place)["code"]  # of a row of a spill file, so without what windows add
    own = codes & ~FLAGS
    same: NDArray[np.bool_] = (own >> 8 == claims["issuer"]) & (own >> 2 & 63 == claims["size"])
    same &= codes & AGAIN_BIT == 0
    serials = serial_matrix(rows.octets, rows.starts[place], MAX_SERIAL_BYTES)
    beyond = np.arange(MAX_SERIAL_BYTES) >= claims["size"][:, None]
    same &= ((serials == claims["serial"]) | beyond).all(axis=1)
    return same


def _left_out(rows: Spilled, claims: ClaimArray) -> tuple[Spilled, ClaimArray]:
    """Return which rows, by ascending keys, are of certificates that CRLs have revoked for good, and these claims."""
    told = claims[(claims["says"] == SAYS_FINAL) & ~claims["is_foreign"]]
    which = np.flatnonzero(np.isin(told["key"], rows["key"]))
    place = np.searchsorted(rows["key"], told["key"][which])
    codes = rows["code"][place] & ~FLAGS
    same = (codes >> 8 == told["issuer"][which]) & (codes >> 2 & 63 == told["size"][which])
    octets = rows.view(np.uint8).reshape(-1, ROW_BYTES)[place, SERIAL_AT:]
    beyond = np.arange(MAX_SERIAL_BYTES) >= told["size"][which][:, None]
    same &= ((octets == told["serial"][which]) | beyond).all(axis=1) & (rows["code"][place] & AGAIN_BIT == 0)
    first = np.unique(place[same], return_index=True)[1]
    return rows[place[same][first]], told[which[same][first]]


def _contradictions(rows: Spilled, claims: ClaimArray) -> Iterator[Contradiction]:
    for row, claim in zip(rows, claims, strict=True):
        yield Contradiction(
            file=int(row["file"]),
            row=int(row["row"]),
            serial=claim["serial"][: int(claim["size"])].tobytes(),
            status=RESPONSE_KINDS[int(row["code"]) & 3][0],
            entry=int(claim["entry"]),
            says=int(claim["says"]),
            at=int(claim["at"]),
        )


def _strangers(rows: ShardRows, places: NDArray[np.intp], claims: ClaimArray) -> NDArray[np.void]:
    """Return the rows that foreign claims have found."""
    strangers = np.empty(len(claims), STRANGER)
    for name in ("entry", "issuer", "size"):
        strangers[name] = claims[name]
    spilled = rows.spilled(places)
    strangers["file"], strangers["row"] = spilled["file"], spilled["row"]
    said = np.where(claims["is_certificate"], rows.not_after[places], rows.revoked_at[places]).astype(np.int64)
    strangers["gap_s"] = np.abs(said - claims["at"])
    strangers["gap_s"][claims["is_certificate"] & (said == NO_EXPIRY_32)] = 0  # the row does not say
    return strangers
