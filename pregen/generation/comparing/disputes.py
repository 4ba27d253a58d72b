"""What is said of rows that contradict CRLs and anchors: revoked there and not here, or under the wrong label."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.clock import DAY_S
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.gates.listed import SAYS_FINAL, SAYS_HOLD
from pregen.generation.comparing.claims import Claims, ClaimSource
from pregen.generation.comparing.held import Contradiction, Held
from pregen.issuers import Issuer
from pregen.snapshot import Snapshot
from storage.certid import serial_text

_RANDOM_BYTES = 8  # serials of so many octets are hardly those of two issuers (TLS Baseline Requirements, 7.1)
_FEW = 3  # serials that may be equal by chance, or by the habits of a CA: one or two are no evidence
_FINAL = (
    "certificates are good or unknown, and CRLs list them as revoked, which is final (RFC 5280, 5.3.1): look whether "
    "the export lost their statuses or maps them wrongly, or is older than the CRL (then export anew); where CRLs tell "
    "the statuses, ask the CA why the newest one lacks these entries"
)
_HOLD = (
    "certificates are good or unknown, and CRLs that are valid at as_of list them as on hold: look whether the export "
    "lost their statuses or maps them wrongly; where they were released since, name a newer CRL in [[snapshot.anchor]]"
)
_LEFT_OUT = (
    "rows are left out by their status, and CRLs list their certificates as revoked, which have not expired: clients "
    "that ask for them would get no answer, which many take for good; look whether their status is mapped to excluded "
    "by mistake (status.values in [snapshot.columns]), and map it to revoked, with the time of revocation"
)


def revoked_in_crls(held: Held, claims: Claims, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error about rows that are good or unknown, and revoked in a CRL."""
    kinds = (("in-crl", SAYS_FINAL, held.final, _FINAL), ("hold-in-crl", SAYS_HOLD, held.hold, _HOLD))
    for code, kind, count, text in kinds:
        if count:
            shown = tuple(_contradiction(one, claims, snapshot) for one in held.examples if one.says == kind)
            yield Finding(f"revocation.{code}", "error", f"{count:,} {text}", count, shown)


def left_out_in_crls(held: Held, claims: Claims, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error about rows that get no answer for their status, and are revoked in a CRL."""
    if held.left_out:
        examples = tuple(_contradiction(one, claims, snapshot, "left out") for one in held.left_out_examples)
        yield Finding("revocation.left-out", "error", f"{held.left_out:,} {_LEFT_OUT}", held.left_out, examples)


def _contradiction(one: Contradiction, claims: Claims, snapshot: Snapshot, status: str | None = None) -> str:
    source = claims.sources[int(claims.places(np.array([one.entry], np.int32))[0])]
    return (
        f"{snapshot.locate(one.file, one.row)}, serial {serial_text(one.serial)}, {status or one.status}: "
        f"{source.path} has it revoked since {clock.text(one.at)}"
    )


def proved_labels(held: Held, claims: Claims) -> frozenset[int]:
    """Return the issuers (indices) of which a CRL or an anchor has a certificate that is under their own label."""
    places = np.unique(claims.places(held.own)).tolist()
    return frozenset(claims.sources[place].issuer for place in places)


def mislabelled(held: Held, claims: Claims, snapshot: Snapshot, issuers: Sequence[Issuer]) -> Iterator[Finding]:
    """Yield an error about rows of one issuer under the label of another.

    A row is evidence where its serial is in a CRL of the other issuer, or in its anchor, no row has that serial under
    the right label, and the row has the same time: to the second, or where serials are long, to the day. Of long
    serials without the time, three are evidence too, if no serial of the source is under both labels.
    """
    strangers = held.strangers[~np.isin(held.strangers["entry"], held.own)]
    twins = held.strangers[np.isin(held.strangers["entry"], held.own)]
    signer = np.array([claims.namesake[one.issuer] for one in claims.sources], np.int64)
    pair = _pairs(strangers, claims, signer)
    shared = np.unique(_pairs(twins, claims, signer))
    for one in np.unique(pair).tolist():
        rows = strangers[pair == one]
        is_evident = _evident(rows, are_disjoint=one not in shared)
        if is_evident.any():
            found = np.sort(rows[is_evident], order=["file", "row"])
            sources = [claims.sources[at] for at in claims.places(found["entry"][:MAX_EXAMPLES]).tolist()]
            yield _finding(found, sources, snapshot, issuers)


def _pairs(strangers: NDArray[np.void], claims: Claims, signer: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for who signed the source, and under whose label the row is."""
    if not len(strangers):
        return np.empty(0, np.int64)
    return signer[claims.places(strangers["entry"])] << 32 | strangers["issuer"].astype(np.int64)


def _evident(rows: NDArray[np.void], *, are_disjoint: bool) -> NDArray[np.bool_]:
    is_long = rows["size"] >= _RANDOM_BYTES
    # Within a day, a time without a zone, or a date, is the same.
    evident: NDArray[np.bool_] = is_long & (rows["gap_s"] <= DAY_S)
    for others in (~is_long & (rows["gap_s"] <= 1), is_long & are_disjoint):
        if np.count_nonzero(others) >= _FEW:
            evident |= others
    return evident


def _finding(
    rows: NDArray[np.void], sources: Sequence[ClaimSource], snapshot: Snapshot, issuers: Sequence[Issuer]
) -> Finding:
    right, wrong = (issuers[index].names[0] for index in (sources[0].issuer, int(rows["issuer"][0])))
    text = (
        f"rows are labelled {wrong!r}, but {sources[0].path}, which issuer {right!r} signed, has their serials, and no "
        f"row of {right!r} has them: clients that ask {right!r} would get no answer; look how the export, its folders "
        "or its joins tell issuers apart, and whether names in [[issuer]] stand beside the right certificates"
    )
    shown = tuple(
        f"{snapshot.locate(int(row['file']), int(row['row']))}, issuer, {wrong!r}: in {source.path}"
        for row, source in zip(rows[:MAX_EXAMPLES], sources, strict=True)
    )
    return Finding("issuer.mislabelled", "error", text, len(rows), shown)
