"""The certificates of a snapshot beside those of the current generation: what vanished, what came, what changed.

Both sides are known by their 64-bit keys alone. Different certificates may have equal ones, so what is compared are
multisets: a key that stands twice on one side needs two on the other. Among entries of one key those of equal status
belong together first, and those that have expired are missed last: no certificate is said to have vanished, or to have
changed, where another explanation is as good.

Shards are compared one by one, so memory is bounded by the shard; what is kept are counts and a few examples.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from storage.history import EXPIRY_UNIT_S, NO_EXPIRY_UNITS, REMEMBERED_STATUSES, STATUS_BITS, WORD_BYTES, Columns
from storage.overlay_part import NO_EXPIRY_32

Keys: TypeAlias = NDArray[np.uint64]
StatusWords: TypeAlias = NDArray[np.uint32]
Indexes: TypeAlias = NDArray[np.intp]

_STATUS_MASK = np.uint32((1 << STATUS_BITS) - 1)
_NOTHING: Keys = np.empty(0, np.uint64)


class RememberedStatus(IntEnum):
    """What a history keeps of a status, by its number there: it tells holds apart, which a snapshot's rows do not."""

    GOOD, REVOKED, ON_HOLD, UNKNOWN = range(len(REMEMBERED_STATUSES))


class Remembered(NamedTuple):
    """What is remembered of certificates, by ascending keys.

    Attributes:
        keys: uint64[n].
        words: uint32[n], `storage.history.word` of each.
    """

    keys: Keys
    words: StatusWords

    @property
    def status(self) -> NDArray[np.uint32]:
        """Index in `storage.history.REMEMBERED_STATUSES` of each, uint32[n]."""
        return self.words & _STATUS_MASK

    @property
    def units(self) -> NDArray[np.uint32]:
        """When each certificate ends, in units of a history, uint32[n]; `NO_EXPIRY_UNITS` where it does not."""
        return self.words >> np.uint32(STATUS_BITS)

    @property
    def not_after(self) -> NDArray[np.uint32]:
        """When each certificate ends at the latest, in seconds since 1970, uint32[n]; it is remembered in units."""
        # Of `NO_EXPIRY_UNITS` it is `NO_EXPIRY_32`.
        return self.units * np.uint32(EXPIRY_UNIT_S) + np.uint32(EXPIRY_UNIT_S - 1)

    def expired(self, before: int | None) -> NDArray[np.bool_]:
        """Tell which certificates need no answer any more: those whose not_after is before that second."""
        if before is None or before <= 0:  # nothing that is remembered is before 1970
            return np.zeros(len(self.keys), np.bool_)
        units = self.units
        gone: NDArray[np.bool_] = units <= np.uint32(min(before - 1, NO_EXPIRY_32) // EXPIRY_UNIT_S)
        gone &= units != np.uint32(NO_EXPIRY_UNITS)
        return gone

    def between(self, low: int, high: int) -> "Remembered":
        """Return the entries of keys whose upper halves are from `low` up to below `high`."""
        start = int(np.searchsorted(self.keys, np.uint64(low << 32)))
        end = len(self.keys) if high >= 1 << 32 else int(np.searchsorted(self.keys, np.uint64(high << 32)))
        return Remembered(self.keys[start:end], self.words[start:end])

    def columns(self) -> Columns:
        """Return them as a part of a history is made of them."""
        # Copied into little-endian octets: the machine's own order may be another.
        octets = self.words.astype("<u4").view(np.uint8).reshape(-1, 4)
        return Columns(self.keys.astype("<u8").tobytes(), octets[:, :WORD_BYTES].tobytes())

    @classmethod
    def of_columns(cls, columns: Columns) -> "Remembered":
        """Return the entries of a part of a history."""
        keys = np.frombuffer(columns.keys, "<u8").astype(np.uint64, copy=False)
        octets = np.zeros((len(keys), 4), np.uint8)
        octets[:, :WORD_BYTES] = np.frombuffer(columns.words, np.uint8).reshape(-1, WORD_BYTES)
        return cls(keys, octets.view("<u4")[:, 0].astype(np.uint32, copy=False))


def words(status: NDArray[np.uint32], not_after: NDArray[np.uint32]) -> StatusWords:
    """Return the words of entries, uint32[n], as `storage.history.word` does one by one.

    Args:
        status: index in `storage.history.REMEMBERED_STATUSES` of each.
        not_after: seconds since 1970; the last second that 32 bits can name is also "later, or never".

    >>> [hex(one) for one in words(np.array([1], np.uint32), np.array([2**32 - 1], np.uint32)).tolist()]
    ['0xfffffd']
    """
    # The greatest number of units that 32 bits of seconds make is `NO_EXPIRY_UNITS`.
    return (not_after // np.uint32(EXPIRY_UNIT_S) << np.uint32(STATUS_BITS)) | status


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the certificates of the current generation; sums of shards are sums of these.

    All but the last two are counters: `COUNTERS` names them.

    Attributes:
        before: certificates of the current generation that were compared.
        after: certificates of the new one.
        vanished: of those before, which are in the new one no more and have not expired.
        vanished_undated: how many of them are not known to expire.
        lost: how many of them were revoked.
        answered: how many of them overlays go on to answer for, since urgent changes have brought them.
        expired: in the new one no more, as it should be.
        dropped: in the new one no more, because their issuers were dropped on purpose.
        unrevoked: were revoked, other than on hold, and are good or unknown.
        held: were revoked, and are on hold.
        revoked: were not revoked, and are.
        unknown: were good, and are unknown.
        known: were unknown, and are good.
        on_hold: of those before, were on hold.
        released: of these, are good or unknown.
        unended: of those before, are in the new one no more, and nobody knows whether they have expired, since no
            history says of any certificate there when it expires.
        undated: of those before, were not known to expire.
        moved: expire at another time than they did, or are not known to; a certificate's notAfter never changes.
        shortened: how many of them were revoked, and expire earlier: they could come back when that has passed.
        dated: were revoked and not known to expire, and are.
        new: in the new one alone.
        returned: how many of these were revoked for good until they had ended, and are not now.
        overlaid: of those before, lie in overlays alone.
        keys: by one of the names above, the keys of the first such certificates.
        damaged: what could not be read of the current generation's history.
    """

    before: int = 0
    after: int = 0
    vanished: int = 0
    vanished_undated: int = 0
    lost: int = 0
    expired: int = 0
    dropped: int = 0
    unrevoked: int = 0
    held: int = 0
    revoked: int = 0
    unknown: int = 0
    known: int = 0
    on_hold: int = 0
    released: int = 0
    moved: int = 0
    shortened: int = 0
    undated: int = 0
    dated: int = 0
    new: int = 0
    overlaid: int = 0
    answered: int = 0
    unended: int = 0
    returned: int = 0
    _: KW_ONLY
    keys: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    def plus(self, other: "Comparison") -> "Comparison":
        """Return the sum of two, in whichever order; of the examples the lowest keys stay."""
        names = sorted(self.keys.keys() | other.keys.keys())
        return Comparison(
            *(getattr(self, name) + getattr(other, name) for name in COUNTERS),
            keys={
                name: tuple(sorted([*self.keys.get(name, ()), *other.keys.get(name, ())])[:MAX_EXAMPLES])
                for name in names
            },
            damaged=tuple(sorted({*self.damaged, *other.damaged})),
        )


COUNTERS = tuple(one.name for one in fields(Comparison) if not one.kw_only)
NOT_COMPARED = Comparison()


def compare(
    before: Remembered,
    after: Remembered,
    expired_before: int | None,
    dropped: Keys = _NOTHING,
    *,
    staying: Keys = _NOTHING,
    overlaid: int = 0,
) -> Comparison:
    """Compare the entries of one range of keys.

    Args:
        before: those of the current generation.
        after: those of the new one.
        expired_before: certificates whose not_after is before it are not missed, in seconds since 1970; None: all are.
        dropped: uint64[k], ascending: keys before of certificates whose issuers were dropped on purpose.
        staying: uint64[k], ascending: keys of certificates that overlays go on to answer for. They are missed, but what
            is revoked there is not lost.
        overlaid: how many of those before lie in overlays alone.
    """
    expired = before.expired(expired_before)
    old, new = _paired(before, after, expired)
    gone, fresh = np.ones(len(before.keys), np.bool_), np.ones(len(after.keys), np.bool_)
    gone[old], fresh[new] = False, False
    status, units = before.status, before.units
    missed = np.flatnonzero(gone & ~expired)
    explained, _ = pair(before.keys[missed], dropped)
    vanished = np.delete(missed, explained)
    events = (
        _vanished(before.keys[vanished], status[vanished], units[vanished], staying)
        | _changed(before.keys, old, status[old], after.status[new])
        | _moved(before.keys, old, status[old], units[old], after.units[new])
    )
    counts = {
        **{name: len(keys) for name, keys in events.items()},
        "before": len(before.keys),
        "after": len(after.keys),
        "expired": int(np.count_nonzero(gone & expired)),
        "dropped": len(explained),
        "new": int(np.count_nonzero(fresh)),
        "overlaid": overlaid,
        "answered": len(pair(before.keys[vanished], staying)[0]),
        "unended": 0,
        "returned": 0,
        "on_hold": int(np.count_nonzero(status == RememberedStatus.ON_HOLD)),
        "undated": int(np.count_nonzero(units == NO_EXPIRY_UNITS)),
    }
    return Comparison(
        *(counts[name] for name in COUNTERS),
        keys={name: tuple(np.sort(keys)[:MAX_EXAMPLES].tolist()) for name, keys in events.items() if len(keys)},
    )


# In these three, `was` and `now` are statuses, `then` and `till` say in units of a history when certificates expired
# and when they do, and `old` are places among `keys`. Nearly all entries are what they were: only the others are looked
# at more closely.


def _vanished(keys: Keys, was: StatusWords, then: StatusWords, staying: Keys) -> dict[str, Keys]:
    """Return the keys of entries that are gone and should not be, by what that means."""
    lost = keys[was == RememberedStatus.REVOKED]
    stays, _ = pair(lost, staying)
    return {
        "vanished": keys,
        "vanished_undated": keys[then == NO_EXPIRY_UNITS],
        "lost": np.delete(lost, stays),
    }


def _changed(keys: Keys, old: Indexes, was: StatusWords, now: StatusWords) -> dict[str, Keys]:
    """Return the keys of entries whose status is another now, by what became of what."""
    changed = np.flatnonzero(was != now)
    keys, was, now = keys[old[changed]], was[changed], now[changed]
    return {
        "unrevoked": keys[(was == RememberedStatus.REVOKED) & _not_revoked(now)],
        "held": keys[(was == RememberedStatus.REVOKED) & (now == RememberedStatus.ON_HOLD)],
        "revoked": keys[_not_revoked(was) & ~_not_revoked(now)],
        "unknown": keys[(was == RememberedStatus.GOOD) & (now == RememberedStatus.UNKNOWN)],
        "known": keys[(was == RememberedStatus.UNKNOWN) & (now == RememberedStatus.GOOD)],
        "released": keys[(was == RememberedStatus.ON_HOLD) & _not_revoked(now)],
    }


def _moved(keys: Keys, old: Indexes, was: StatusWords, then: StatusWords, till: StatusWords) -> dict[str, Keys]:
    """Return the keys of entries that expire at another time than they did, by what that means."""
    moves = np.flatnonzero(then - till + np.uint32(1) > 2)  # more than one unit either way, below 0 being very much
    keys, then, till, was_revoked = keys[old[moves]], then[moves], till[moves], ~_not_revoked(was[moves])
    is_dated = then == NO_EXPIRY_UNITS
    return {
        "moved": keys[~is_dated],
        "shortened": keys[~is_dated & (till < then) & was_revoked],
        "dated": keys[is_dated & was_revoked],
    }


def with_returned(seen: Comparison, returned: Keys) -> Comparison:
    """Return a comparison with keys of certificates that were revoked for good until they ended, and are not now."""
    if not len(returned):
        return seen
    keys = {**seen.keys, "returned": tuple(np.sort(returned)[:MAX_EXAMPLES].tolist())}
    return replace(seen, returned=len(returned), keys=keys)


def without_ends(seen: Comparison) -> Comparison:
    """Return a comparison with certificates that may all have expired when they are gone, since nothing says when."""
    keys = dict(seen.keys)
    if unended := keys.pop("vanished_undated", ()):
        keys["unended"] = unended
        keys["vanished"] = tuple(key for key in keys["vanished"] if key not in unended)
    keys.pop("dated", None)
    vanished = seen.vanished - seen.vanished_undated
    return replace(
        seen,
        vanished=vanished,
        vanished_undated=0,
        answered=min(seen.answered, vanished),
        unended=seen.vanished_undated,
        dated=0,
        undated=0,
        keys=keys,
    )


def with_overlays(before: Remembered, overlays: Remembered) -> tuple[Remembered, int]:
    """Return the certificates of a generation with what its overlays say, and how many lie in these alone.

    Args:
        before: those of its shards.
        overlays: those of its overlays, each certificate once.
    """
    mine, theirs = pair(before.keys, overlays.keys)
    words, status = before.words.copy(), overlays.words[theirs] & _STATUS_MASK
    undated = before.units[mine] == np.uint32(NO_EXPIRY_UNITS)
    expiry = np.where(undated, overlays.words[theirs], words[mine]) & ~_STATUS_MASK
    words[mine] = expiry | status
    alone = np.delete(np.arange(len(overlays.keys)), theirs)
    keys = np.concatenate([before.keys, overlays.keys[alone]])
    order = np.argsort(keys, kind="stable")
    return Remembered(keys[order], np.concatenate([words, overlays.words[alone]])[order]), len(alone)


def pair(one: Keys, other: Keys) -> tuple[Indexes, Indexes]:
    """Return the places of keys that both sides have, each as often as both have it.

    Args:
        one: uint64[m], ascending; keys may repeat.
        other: uint64[n], likewise.

    >>> [places.tolist() for places in pair(np.array([1, 2, 2, 2, 5], np.uint64), np.array([2, 2, 5], np.uint64))]
    [[1, 2, 4], [0, 1, 2]]
    """
    if not len(one) or not len(other):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    at = np.searchsorted(other, one)
    if _repeats(one):  # the second of equal keys belongs to the second of the other side
        first = np.flatnonzero(np.diff(one, prepend=~one[:1]))
        at += np.arange(len(one)) - np.repeat(first, np.diff(first, append=len(one)))
    hit = at < len(other)
    hit &= other[np.minimum(at, len(other) - 1)] == one
    return np.flatnonzero(hit), at[hit]


def _paired(before: Remembered, after: Remembered, expired: NDArray[np.bool_]) -> tuple[Indexes, Indexes]:
    """Return the places, on both sides, of entries that are one certificate as far as one can tell."""
    if not _repeats(before.keys) and not _repeats(after.keys):
        return pair(before.keys, after.keys)
    # By key still, of equal keys the expired ones last.
    order = np.lexsort((expired, before.keys))
    rest_before, rest_after = order, np.arange(len(after.keys))
    olds: list[Indexes] = []
    news: list[Indexes] = []
    for status in (*range(len(REMEMBERED_STATUSES)), None):
        old = rest_before if status is None else rest_before[before.status[rest_before] == status]
        new = rest_after if status is None else rest_after[after.status[rest_after] == status]
        first, second = pair(before.keys[old], after.keys[new])
        olds.append(old[first])
        news.append(new[second])
        rest_before = rest_before[~np.isin(rest_before, olds[-1])]
        rest_after = rest_after[~np.isin(rest_after, news[-1])]
    return np.concatenate(olds), np.concatenate(news)


def _repeats(keys: Keys) -> bool:
    return bool((keys[1:] == keys[:-1]).any())


def _not_revoked(status: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return np.isin(status, (RememberedStatus.GOOD, RememberedStatus.UNKNOWN))
