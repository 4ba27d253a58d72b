"""What becomes of the rows of issuers that are left behind, in a worker (`left_behind.py` has the rules).

Their rows are never signed. One whose record in the current generation says no less than the row keeps that record, and
takes what it says: so whatever counts, remembers and reads back speaks of what is published. All others are left out.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.generation.making.carrying import CarriedRows
from pregen.generation.making.layout import Numbers
from pregen.generation.making.left_out import NOTHING_LEFT_OUT, LeftOut
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.generation.rows.rows import ShardRows
from pregen.generation.rows.spill import AGAIN_BIT
from pregen.issuers import Issuer
from storage.certid import serial_text

_REVOKED = np.array([status == "revoked" for status, _ in RESPONSE_KINDS])


def leave(
    rows: ShardRows, carried: CarriedRows, issuers: Sequence[Issuer], kinds: Numbers
) -> tuple[ShardRows, CarriedRows, LeftOut]:
    """Return a shard without the rows of issuers that are left behind and have no record to keep.

    Args:
        rows: of the shard.
        carried: which records are kept.
        issuers: as configured.
        kinds: of the records of each run of tonight, as indexes into `RESPONSE_KINDS`.
    """
    issuer = rows.codes >> 8 & 0xFF_FFFF
    staying = np.array([bool(one.trouble) for one in issuers])[issuer]
    if not staying.any():
        return rows, carried, NOTHING_LEFT_OUT
    kept = ~staying | (carried.run >= 0)
    gone = np.flatnonzero(~kept)
    told, rows = _as_recorded(rows, carried, np.flatnonzero(staying & kept), kinds)
    revoked = gone[_REVOKED[rows.codes[gone] & 3]]
    known = revoked[carried.known[revoked]]
    listed = [*known[:MAX_EXAMPLES], *np.setdiff1d(gone, known)[: max(0, MAX_EXAMPLES - len(known))]]
    left = LeftOut(
        groups=_groups(rows.codes[gone]),
        again=int(np.count_nonzero(rows.spilled(gone)["code"] & AGAIN_BIT)) if len(gone) else 0,
        revoked=len(known),
        examples=tuple(f"{_serial(rows, at)} of {issuers[int(issuer[at])].names[0]}" for at in listed),
        told=told,
    )
    return (rows.of(kept), carried.of(kept), left) if len(gone) else (rows, carried, left)


def _as_recorded(rows: ShardRows, carried: CarriedRows, members: Numbers, kinds: Numbers) -> tuple[int, ShardRows]:
    """Return how many of some rows say another thing than their records, and the rows with what these say."""
    codes, revoked_at, reason = rows.codes.copy(), rows.revoked_at.copy(), rows.reason.copy()
    codes[members] = codes[members] & ~3 | kinds[carried.run[members]]
    times, reasons = carried.said(members, rows.codes[members] >> 2 & 63, codes[members] & 3)
    revoked_at[members], reason[members] = times, reasons
    differ = (codes != rows.codes) | (revoked_at != rows.revoked_at) | (reason != rows.reason)
    return int(np.count_nonzero(differ)), replace(rows, codes=codes, revoked_at=revoked_at, reason=reason)


def _groups(codes: NDArray[np.int64]) -> dict[Group, int]:
    found, counts = np.unique(codes, return_counts=True)
    return {Group.of_code(code): count for code, count in zip(found.tolist(), counts.tolist(), strict=True)}


def _serial(rows: ShardRows, at: np.intp) -> str:
    start, size = int(rows.starts[at]), int(rows.codes[at] >> 2 & 63)
    return serial_text(rows.octets[start : start + size].tobytes())
