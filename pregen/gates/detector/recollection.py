"""What a generation leaves behind for the next one's detector, and how that must not hide the same mistake from it.

Of each issuer, and of the revocations of all, the lags of up to `MAX_LAGS` generations are remembered. A stop adds
none, however often somebody looks; that it was accepted covers `STOP_GROWS` times as long a silence (`lag.py`). Another
lag that was refused, and accepted by name, becomes the usual one when that happened in `ADOPTED_AFTER` generations in a
row: once is a mishap, three times are a habit. Holes that were found stay known for as long as they can be seen, so
that they neither count as usual silences nor are found again.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pregen.gates.detector.case import Case
from pregen.gates.detector.lag import has_stopped, lag_of, newest_in
from pregen.gates.detector.observation import BIN_S, BINS
from pregen.gates.detector.rhythm import Bins, Span, ages_of, rhythm
from pregen.gates.detector.verdict import Verdict
from pregen.gates.detector.witnesses import choose_witnesses
from pregen.gates.history import MAX_LAGS, History
from storage.history import NOTHING_REVOKED, IssuerHistory

ADOPTED_AFTER = 3


def remember(verdict: Verdict, case: Case, counts: Sequence[int] | NDArray[np.int64]) -> History:
    """Return what the next generation's gates need to know of this one.

    Args:
        verdict: of `judge` on the case.
        case: the snapshot.
        counts: certificates with answers, by the index of their issuer.
    """

    def known(row: int, before: IssuerHistory, newest: int | None, until: int) -> IssuerHistory:
        is_odd, holes = row in verdict.odd, verdict.holes.get(row, ())
        return remembered(before, newest, ages_of(case.observation, row), until, is_odd=is_odd, holes=holes)

    newest = {int(row["issuer"]): int(row["not_before"]) for row in case.observation.newest}
    issuers = {
        issuer.issuer_id: known(
            row,
            # Certificates are counted for the gate of counts, whatever the detector remembers of an issuer.
            replace(case.before(row) or IssuerHistory(0, None), certificates=int(counts[row])),
            newest.get(row),
            case.watch.issued_until,
        )
        for row, issuer in enumerate(case.issuers)
    }
    ages, as_of = ages_of(case.observation, case.revocations), case.watch.as_of
    certificates = sum(one.certificates for one in issuers.values())
    return History(
        as_of=as_of,
        certificates=certificates,
        issuers=issuers,
        witnesses=choose_witnesses(case.observation.sightings, case.watch, certificates),
        anchored=verdict.anchored,
        revocations=known(
            case.revocations,
            case.before(case.revocations) or NOTHING_REVOKED,
            newest_in(ages, as_of) if len(ages) else None,
            as_of,
        ),
    )


def remembered(
    before: IssuerHistory,
    newest: int | None,
    ages: NDArray[np.int64],
    as_of: int,
    *,
    is_odd: bool,
    holes: Sequence[Span] = (),
) -> IssuerHistory:
    """Return what the next generation needs to know of an issuer.

    Args:
        before: what is remembered of the last generation, with the certificates of this one.
        newest: the latest not_before up to as_of, in seconds since 1970; None: there is none.
        ages: as for `rhythm`.
        as_of: of the snapshot.
        is_odd: whether the lag was refused, and is accepted.
        holes: that were found.
    """
    if newest is None:  # it has issued nothing yet, or nothing that is left: what was usual stays the measure
        return before
    recent = tuple(hole for hole in (*before.holes, *holes) if hole[1] > as_of - BINS * BIN_S)
    # Without the holes: a silence that was a mistake would else be usual from now on, and hide the next one.
    own = rhythm(ages, [_bins(hole, as_of) for hole in recent])
    lag_s = lag_of(newest, own, as_of)
    # A stop is as long as somebody waits before he looks, so that it adds no lag. What was accepted counts less the
    # least lag, which is there without any stop: backdating, and how long an export takes.
    if has_stopped(before, as_of - lag_s):
        stopped_s = lag_s - min(before.lags, default=0) if is_odd else before.stopped_s
        return replace(before, newest=newest, until=as_of - lag_s, stopped_s=stopped_s)
    silence_s = own.silence_s if own.busy else None  # one that seldom issues has no silence that is usual
    if is_odd:  # single rows may be later already: what is before them is a hole that was accepted
        recent += ((as_of - lag_s, as_of),)
    known = replace(before, newest=newest, until=as_of - lag_s, silence_s=silence_s, stopped_s=0, holes=recent)
    if is_odd and before.accepted + 1 < ADOPTED_AFTER:
        return replace(known, accepted=before.accepted + 1)
    # A lag that has become the usual one is the only one: beside the old ones it would stay the exception for weeks.
    return replace(known, lags=(lag_s,) if is_odd else (lag_s, *before.lags)[:MAX_LAGS], accepted=0)


def _bins(hole: Span, as_of: int) -> Bins:
    return Bins(newer=(as_of - hole[1]) // BIN_S, older=(as_of - hole[0]) // BIN_S)
