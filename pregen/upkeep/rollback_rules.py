"""Which certificates a rollback copies on top of the generation that it goes back to: pure rules.

A certificate that the later generation says is revoked or on hold, and the earlier one does not, is copied: nobody's
revocation is undone. So is one that the earlier one lacks: nobody's new certificate is lost. An operator may leave both
to the earlier generation by name; but what an urgent change revoked, and no run has confirmed, is never left to it.
"""

from typing import NamedTuple

import numpy as np

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import Truth, resolve
from pregen.overlays.entries import Entries, Origin, paired
from pregen.overlays.order import KEY_COMPROMISE, RowsSay
from pregen.snapshot.rows import Mask


class CopyRules(NamedTuple):
    """What is left to the generation that a rollback goes back to.

    Attributes:
        expires_before: certificates that expire before this second are not missed; seconds since 1970.
        unrevoke: whether it is accepted that it does not know what later runs have revoked.
        shrink: whether it is accepted that it lacks certificates; revoked ones only with `unrevoke` as well.
    """

    expires_before: int
    unrevoke: bool = False
    shrink: bool = False


class CopyChoice(NamedTuple):
    """What becomes of each certificate of the later generation, bool[n] each.

    Attributes:
        copied: it is copied.
        is_missed: its answer is needed until the next run: the certificate does not expire before that.
        unrevoked: it would be copied, but for `CopyRules.unrevoke`.
        shrunk: it would be copied, but for `CopyRules.shrink`.
        has_ended: it is revoked for good, and not copied because the earlier generation lacks it and it expires soon:
            that is remembered, in case it comes back with a later end.
    """

    copied: Mask
    is_missed: Mask
    unrevoked: Mask
    shrunk: Mask
    has_ended: Mask


def choose(later: Entries, earlier: Entries, rules: CopyRules, is_copy: Mask | None = None) -> CopyChoice:
    """Return what is copied of what a later generation says, on top of an earlier one.

    Which of both counts says the order of truth (`pregen.overlays.order`), the later one being a row that has seen the
    earlier: so a compromised key stays compromised, and no hold replaces what is final. A record is copied as it is, so
    that where each side knows a part of the truth the earlier one stays. What expires before the next run is copied
    only where the earlier generation would answer good for it.

    Args:
        later: what the later generation says.
        earlier: what the earlier one says, with what was copied before.
        rules: what is left to the earlier one.
        is_copy: of `earlier`, what was copied from a former head: whatever the later one says otherwise replaces it,
            also where it was revoked and is good or unknown now, since that was accepted by name; but a compromised key
            stays so here, too.
    """
    count = len(later)
    at, there = paired(later, earlier)
    is_there = np.zeros(count, np.bool_)
    is_there[at] = True
    final, held = later.status == RememberedStatus.REVOKED, later.status == RememberedStatus.ON_HOLD
    replaces = final | held
    was_final, differs = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    was_final[at] = earlier.is_final[there]
    row = _as_run(later.take(at), as_of=1)
    truth = resolve(_as_run(earlier.take(there), as_of=0), row)
    differs[at] = truth.is_changed & _is_as(truth, row)
    if is_copy is not None:
        copies = is_copy[there]
        replaces[at] |= copies
        differs[at] |= copies & truth.undoes & ~held[at] & (earlier.reason[there] != KEY_COMPROMISE)
    is_missed = later.not_after >= min(max(rules.expires_before, 0), 2**32 - 1)
    changed = differs & replaces & (is_missed | ~was_final)
    lacking = ~is_there & is_missed
    by_run = later.origin == Origin.RUN
    unrevoked = changed & by_run & rules.unrevoke & ~(was_final & final)
    # What is revoked and then left out could come back as good: that takes both names.
    shrunk = lacking & rules.shrink & (by_run | ~(final | held)) & (rules.unrevoke | ~final)
    copied = (changed & ~unrevoked) | (lacking & ~shrunk)
    return CopyChoice(copied, is_missed, unrevoked, shrunk, ~is_there & ~is_missed & final)


def _as_run(said: Entries, as_of: int) -> RowsSay:
    """Return what is said, as if a run had said it at an instant."""
    count = len(said)
    origin = np.full(count, Origin.RUN, np.uint8)
    return RowsSay(said.status, said.revoked_at, said.reason, np.full(count, as_of, np.int64), origin)


def _is_as(truth: Truth, row: RowsSay) -> Mask:
    """Tell where all that is true is what a row says, bool[n]."""
    alike: Mask = truth.status == row.status
    alike &= truth.revoked_at == row.revoked_at
    alike &= truth.reason == row.reason
    return alike
