"""Which entries of CRLs say that a certificate is revoked at the instant of a snapshot.

A revocation is final (RFC 5280, 5.3.1): an entry counts whatever the age of its CRL, unless its reason is of a hold.
A hold may end, so it counts where its CRL is valid at as_of, no newer one of the same part is there, and no delta
takes it back. Of a CRL that is later than as_of, what was revoked after as_of (less the skew of clocks) does not count.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.reasons import CERTIFICATE_HOLD, REMOVE_FROM_CRL
from pregen.snapshot import RevocationList

SAYS_NOTHING, SAYS_HOLD, SAYS_FINAL = range(3)


def says(
    lists: Sequence[RevocationList], namesake: NDArray[np.int32], as_of: int, skew_s: int
) -> list[NDArray[np.uint8]]:
    """Return what each entry of each list says of its certificate at `as_of`, uint8[entries] each.

    Args:
        lists: CRLs that are evidence.
        namesake: int32[issuers], the first issuer of the same name.
        as_of: seconds since 1970.
        skew_s: how far clocks may disagree.
    """
    found = []
    for one in lists:
        entries = one.entries
        final = (entries.reason != CERTIFICATE_HOLD) & (entries.reason != REMOVE_FROM_CRL)
        held = np.zeros(len(entries), np.bool_)
        if (entries.reason == CERTIFICATE_HOLD).any() and _tells_holds(one, lists, namesake, as_of):
            held = (entries.reason == CERTIFICATE_HOLD) & ~_taken_back(one, lists, namesake)
        if one.this_update > as_of:
            early = entries.revoked_at <= as_of - skew_s
            final, held = final & early, held & early
        found.append((final * np.uint8(SAYS_FINAL) + held * np.uint8(SAYS_HOLD)).astype(np.uint8))
    return found


def _is_same_part(one: RevocationList, other: RevocationList, namesake: NDArray[np.int32]) -> bool:
    return one.scope == other.scope and namesake[one.issuer] == namesake[other.issuer]


def _tells_holds(one: RevocationList, lists: Sequence[RevocationList], namesake: NDArray[np.int32], as_of: int) -> bool:
    if one.is_superseded or (one.next_update is not None and one.next_update < as_of):
        return False
    return not any(
        other.this_update > one.this_update and not other.is_delta and _is_same_part(one, other, namesake)
        for other in lists
    )


def _taken_back(one: RevocationList, lists: Sequence[RevocationList], namesake: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which entries a delta that is as new takes back, bool[entries]."""
    back = np.zeros(len(one.entries), np.bool_)
    for other in lists:
        if not other.is_delta or other.this_update < one.this_update or not _is_same_part(one, other, namesake):
            continue
        removed = other.entries.reason == REMOVE_FROM_CRL
        if removed.any():
            serials = other.entries.serial.filter(pa.array(removed))
            back |= pc.is_in(one.entries.serial, value_set=serials).to_numpy(zero_copy_only=False)
    return back
