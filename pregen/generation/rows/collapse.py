"""The rows of one certificate become one: repetitions collapse, contradictions are found, precertificates joined.

A precertificate's serial counts as assigned (TLS Baseline Requirements, 4.9.9), so its row alone gets an answer. Beside
the row of the final certificate it is the same certificate, and not a repetition: both differ by two extensions alone
(RFC 6962, 3.1). Such a pair is joined in whatever order and files its rows come:

* Their expiries must be a day apart at most, where both say one; else the rows are judged as any two of one serial.
* Revoked is what one of both says is revoked. Where both are, the time and the reason of the earlier revocation count,
  but one that is final wins over a hold, and at the same time one with a reason over one without, then the final
  certificate's. Good and unknown contradict each other as ever.
* Several precertificates, or several final certificates, are judged among themselves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.clock import DAY_S
from pregen.errors import MAX_EXAMPLES
from pregen.generation.rows.counts import NO_EXAMPLES, NOTHING_COUNTED, Examples, Pair, RowCounts, RowNumber
from pregen.generation.rows.groups import IS_REVOKED, IS_UNKNOWN, Group
from pregen.generation.rows.spill import (
    AGAIN_BIT,
    FLAGS,
    PRECERTIFICATE_BIT,
    ROW_BYTES,
    SERIAL_AT,
    WITHHELD,
    Places,
    Spilled,
    take,
)
from pregen.reasons import CERTIFICATE_HOLD
from pregen.snapshot import MAX_SERIAL_BYTES, NO_REASON
from storage.overlay_part import NO_EXPIRY_32


class Collapsed(NamedTuple):
    """What came of rows with equal keys.

    Attributes:
        dropped: places of rows that another row of the same certificate stands for.
        counts: how many of them conflict, are joined, or differ.
        examples: of these, the first ones.
    """

    dropped: Places = np.empty(0, np.intp)
    counts: RowCounts = NOTHING_COUNTED
    examples: Examples = NO_EXAMPLES


def collapse(rows: Spilled, suspects: Places, limit: int) -> Collapsed:
    """Find, among rows with equal keys, those of one certificate: the first gets the latest not_after, others go.

    Rows that differ in status, revocation time or reason are conflicts, and so is a withheld one that contradicts one
    that is not (`pregen.snapshot.Withheld`), unless the certificate has expired: its latest not_after is before
    `limit`. Equal keys of different certificates are legal. The row of a final certificate is the first of all, and
    takes over what the one of its precertificate says.
    """
    these = take(rows, suspects)
    withheld = these["reason"] == WITHHELD
    early = (these["code"] & PRECERTIFICATE_BIT != 0) & ~withheld
    again = these["code"] & AGAIN_BIT != 0
    in_snapshot = np.lexsort((these["row"], these["file"], again, early, withheld))
    these, suspects = take(these, in_snapshot), suspects[in_snapshot]
    withheld, early, again = withheld[in_snapshot], early[in_snapshot], again[in_snapshot]
    flags = these["code"] & FLAGS
    these["code"] &= ~FLAGS
    places = np.arange(len(these))
    leader = _first_of(_identities(these))  # the row that each one's certificate is published by
    peer, joined, uneven = leader, np.zeros(len(these), bool), np.zeros(len(these), bool)
    if early.any():
        peer, joined = _paired(these, leader, early)
        uneven = joined & _differ(these, leader)
    differs = _differ(these, peer)
    _take_over(these, leader, np.flatnonzero(uneven))
    changed = leader[uneven]
    rows[suspects[changed]] = these[changed]
    rows["code"][suspects[changed]] |= flags[changed]
    np.maximum.at(rows["not_after"], suspects[leader], these["not_after"])
    follows = leader != places
    differs = np.where(withheld, _contradicts(these, take(these, leader)), differs)
    is_live = rows["not_after"][suspects[leader]] >= limit
    shown = np.where(withheld, leader, peer)
    differs &= is_live & ~(again & again[shown])  # which was found where they were spooled before
    uneven = (uneven | _expire_apart(these, leader, early, peer)) & is_live & ~again
    examples = Examples(
        *(
            tuple(
                Pair(_row_number(these[one[i]]), _row_number(these[i]), _serial(these[i]), bool(withheld[i]))
                for i in np.flatnonzero(which)[:MAX_EXAMPLES]
            )
            for one, which in (
                (shown, differs),
                (peer, follows & ~differs & ~withheld & ~joined & ~again),
                (leader, uneven),
            )
        )
    )
    counts = RowCounts(conflicting=int(differs.sum()), joined=int((joined & ~again).sum()), differing=int(uneven.sum()))
    return Collapsed(suspects[follows], counts, examples)


def _first_of(identities: NDArray[np.generic]) -> Places:
    """Return for each place the first one of the same identity."""
    _, first, member = np.unique(identities, return_index=True, return_inverse=True)
    found: Places = first[member]
    return found


def _paired(these: Spilled, leader: Places, early: NDArray[np.bool_]) -> tuple[Places, NDArray[np.bool_]]:
    """Return which row each one must agree with, and which rows of precertificates are joined with a final one's.

    `leader` is the row of the final certificate, wherever there is one.
    """
    own = _first_of(2 * leader + early)
    first = np.flatnonzero(early & (own == np.arange(len(these))) & ~early[leader])
    one, other = these[first], these[leader[first]]
    expiries = one["not_after"].astype(np.int64), other["not_after"].astype(np.int64)
    fits = np.abs(expiries[0] - expiries[1]) <= DAY_S
    fits |= (expiries[0] == NO_EXPIRY_32) | (expiries[1] == NO_EXPIRY_32)  # one of both does not say
    says = one["code"] & 3, other["code"] & 3
    fits &= (IS_UNKNOWN[says[0]] == IS_UNKNOWN[says[1]]) | IS_REVOKED[says[0]] | IS_REVOKED[says[1]]
    joined = np.zeros(len(these), bool)
    joined[first[fits]] = True
    return np.where(early & ~joined[own], leader, own), joined


def _expire_apart(these: Spilled, leader: Places, early: NDArray[np.bool_], peer: Places) -> NDArray[np.bool_]:
    """Return which rows of precertificates are no pair with the final certificate's, as both say another expiry."""
    apart: NDArray[np.bool_] = early & ~early[leader] & (peer == leader)
    expiries = these["not_after"].astype(np.int64), these["not_after"][leader].astype(np.int64)
    apart &= np.abs(expiries[0] - expiries[1]) > DAY_S
    apart &= (expiries[0] != NO_EXPIRY_32) & (expiries[1] != NO_EXPIRY_32)
    return apart


def _differ(these: Spilled, others: Places) -> NDArray[np.bool_]:
    """Return which rows say another status, revocation time or reason than the ones at `others`."""
    differs = np.zeros(len(these), bool)
    for name in ("code", "revoked_at", "reason"):
        differs |= these[name] != these[name][others]
    return differs


def _take_over(these: Spilled, leader: Places, joined: Places) -> None:
    """Let the rows of final certificates say what those of their precertificates do, where these win."""
    ranks = [
        (
            ~IS_REVOKED[rows["code"] & 3],
            rows["reason"] == CERTIFICATE_HOLD,
            rows["revoked_at"],
            rows["reason"] == NO_REASON,
        )
        for rows in (these[joined], these[leader[joined]])
    ]
    wins, tied = np.zeros(len(joined), bool), np.ones(len(joined), bool)
    for mine, other in zip(*ranks, strict=True):
        wins |= tied & (mine < other)
        tied &= mine == other
    for name in ("code", "revoked_at", "reason"):
        these[name][leader[joined[wins]]] = these[name][joined[wins]]


def _contradicts(withheld: Spilled, published: Spilled) -> NDArray[np.bool_]:
    """Return which rows that are withheld contradict those that are published, if these are; bool[n]."""
    says, becomes = withheld["code"] & 3, published["code"] & 3
    wrong: NDArray[np.bool_] = IS_UNKNOWN[says] | (IS_REVOKED[says] & ~IS_REVOKED[becomes])
    wrong &= published["reason"] != WITHHELD
    return wrong


def _identities(rows: Spilled) -> NDArray[np.void]:
    """Return issuer, serial length and serial of rows as comparable octets."""
    of_serial = np.arange(MAX_SERIAL_BYTES) < (rows["code"] >> 2 & 63)[:, None]
    out = np.empty((len(rows), 4 + MAX_SERIAL_BYTES), np.uint8)
    out[:, :4] = (rows["code"] >> 2)[:, None].view(np.uint8)
    out[:, 4:] = np.where(of_serial, rows.view(np.uint8).reshape(-1, ROW_BYTES)[:, SERIAL_AT:], 0)
    return out.view(f"V{out.shape[1]}")[:, 0]


def _row_number(row: np.void) -> RowNumber:
    return RowNumber(int(row["file"]), int(row["row"]))


def _serial(row: np.void) -> bytes:
    return bytes(row["serial"])[: Group.of_code(int(row["code"])).serial_bytes]
