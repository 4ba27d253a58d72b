"""Until when the answers of a generation hold, and when newer ones are due: by issuer, and by shard.

The one definition that edges (``/readyz``), `pregen status`, `inspect` and `verify` share. The worst counts: an issuer
whose answers have run out is not made good by another one whose answers live.

* An issuer is judged by its **usual windows**. One run gives each of its issuers one such window, and to certificates
  that end earlier shorter ones (``end_with_certificate``), with the same producedAt and the same refresh_by. So of the
  windows of an issuer that have these two in common, the one that ends last stands for all: the others end because
  their certificates do, and nobody needs an answer then.
* Packs may hold records of several runs, and of an earlier run only such shorter windows may be left: then these say of
  themselves that they end with certificates. Where they do, or all end before refresh_by, nobody waits for a newer
  answer: by them alone the issuer neither expires nor is it overdue.
* A shard says when the last of its windows ends. It counts unless that is such a shorter window.
* Windows of overlays do not count: they hold a few urgent answers, and the shards answer for the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from storage.manifest import Manifest, Shard
from storage.tables import StoredIssuer, Tables, Window

CLOCK_TOLERANCE_S = 60  # by so much the clocks of publishers, edges and the store may differ
FreshnessState = Literal["fresh", "overdue", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerFreshness:
    """Until when the answers of one issuer hold; times are seconds since 1970.

    Attributes:
        issuer_id: see `storage.key.issuer_id`.
        label: what messages call it.
        holds_until: the last second in which all of its answers hold, but for those that end with their certificates;
            None: all do, or there are none.
        fresh_until: the last second in which any does; None: there are none.
        refresh_by: when a newer answer is due; None: never, as all certificates end before that.
    """

    issuer_id: int
    label: str
    holds_until: int | None
    fresh_until: int | None
    refresh_by: int | None

    def state(self, now: int, margin_s: int = 0) -> FreshnessState:
        """Return how its answers stand.

        Args:
            now: seconds since 1970.
            margin_s: so long before its end an answer counts as expired.
        """
        if self.holds_until is not None and now > self.holds_until - margin_s:
            return "expired"
        if self.refresh_by is not None and now > self.refresh_by:
            return "overdue"
        return "fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Until when the answers of a generation hold; times are seconds since 1970.

    Attributes:
        issuers: in the order of their labels.
        shard_ends: until when each shard holds answers, of those that do not end with certificates alone; ascending.
        fresh_until: until when at least one shard holds answers.
        refresh_by: when the first newer answer is due.
        first_begins: the earliest thisUpdate.
        begins: the latest thisUpdate.
        produced_at: the latest producedAt.
    """

    issuers: tuple[IssuerFreshness, ...]
    shard_ends: tuple[int, ...]
    fresh_until: int
    refresh_by: int
    first_begins: int
    begins: int
    produced_at: int

    @property
    def holds_until(self) -> int:
        """The last second in which all answers hold, but for those that end with their certificates."""
        ends = [one.holds_until for one in self.issuers if one.holds_until is not None]
        return min([*ends, *self.shard_ends[:1]], default=self.fresh_until)

    @property
    def is_over_with_certificates(self) -> bool:
        """Whether all answers end with their certificates, before newer ones are due."""
        return not self.shard_ends and all(one.holds_until is None for one in self.issuers)

    def state(self, now: int, margin_s: int = 0) -> FreshnessState:
        """Return the worst that is to be said of it; where all ends with certificates, nothing is."""
        if self.is_over_with_certificates:
            return "fresh"
        if now > self.holds_until - margin_s:
            return "expired"
        return "overdue" if now > self.refresh_by else "fresh"

    def shards_expired(self, now: int, margin_s: int = 0) -> int:
        """Return how many shards have run out."""
        return sum(now > end - margin_s for end in self.shard_ends)


def freshness_of(manifest: Manifest, tables: Mapping[str, Tables]) -> Freshness:
    """Return until when the answers of a generation hold.

    Args:
        manifest: of the generation.
        tables: that it names, by their names.
    """
    found = dict(_windows(manifest, tables))
    stored = {issuer.issuer_id: issuer for one in tables.values() for issuer in one.issuers}
    ends = {name: _Ends(set(), set()) for name in tables}
    families: dict[int, list[_Family]] = {issuer_id: [] for issuer_id in stored}
    for (name, issuer_id), windows in found.items():
        for family in _families(windows):
            families[issuer_id].append(family)
            (ends[name].of_certificates if family.of_certificates else ends[name].usual).add(family.end)
    issuers = [_issuer(stored[issuer_id], own) for issuer_id, own in families.items()]
    due = [one.refresh_by for one in issuers if one.refresh_by is not None]
    all_windows = [window for windows in found.values() for window in windows]
    return Freshness(
        issuers=tuple(sorted(issuers, key=lambda one: (one.label, one.issuer_id))),
        shard_ends=tuple(sorted(shard.next_update for shard in manifest.shards if _counts(shard, ends[shard.windows]))),
        fresh_until=max(shard.next_update for shard in manifest.shards),
        refresh_by=min(due or [shard.refresh_by for shard in manifest.shards]),
        first_begins=min((window.this_update for window in all_windows), default=0),
        begins=max((window.this_update for window in all_windows), default=0),
        produced_at=max((window.produced_at for window in all_windows), default=0),
    )


@dataclass(frozen=True, slots=True)
class _Family:
    """Windows of one issuer from one run: when the last of them ends, and when newer answers are due."""

    end: int
    refresh_by: int
    of_certificates: bool  # there is no usual one among them

    @property
    def ends_with_certificates(self) -> bool:
        return self.of_certificates or self.end < self.refresh_by


class _Ends(NamedTuple):
    """When windows that lie in shards end: the usual ones, and those of which there are no usual ones."""

    usual: set[int]
    of_certificates: set[int]


def _windows(manifest: Manifest, tables: Mapping[str, Tables]) -> Iterator[tuple[tuple[str, int], set[Window]]]:
    """Yield the windows in which shards have answers, by tables and issuer.

    A shard says between what its windows lie, not which they are: tables may be shared with overlays.
    """
    for name in dict.fromkeys(shard.windows for shard in manifest.shards):
        own = tables[name]
        spans = {(shard.refresh_by, shard.next_update) for shard in manifest.shards if shard.windows == name}
        within = [
            any(window.refresh_by >= due and window.next_update <= end for due, end in spans) for window in own.windows
        ]
        found: dict[int, set[Window]] = {}
        for issuer, window in {(run.issuer, run.window) for run in own.runs if within[run.window]}:
            found.setdefault(own.issuers[issuer].issuer_id, set()).add(own.windows[window])
        yield from (((name, issuer_id), windows) for issuer_id, windows in found.items())


def _families(windows: set[Window]) -> list[_Family]:
    last: dict[tuple[int, int], tuple[bool, int]] = {}
    for window in windows:
        run = window.produced_at, window.refresh_by
        last[run] = max((not window.ends_with_certificate, window.next_update), last.get(run, (False, 0)))
    return [_Family(end, refresh_by, not is_usual) for (_, refresh_by), (is_usual, end) in last.items()]


def _issuer(issuer: StoredIssuer, families: list[_Family]) -> IssuerFreshness:
    usual = [family for family in families if not family.ends_with_certificates]
    return IssuerFreshness(
        issuer_id=issuer.issuer_id,
        label=issuer.label,
        holds_until=min((family.end for family in usual), default=None),
        fresh_until=max((family.end for family in families), default=None),
        refresh_by=min((family.refresh_by for family in usual), default=None),
    )


def _counts(shard: Shard, ends: _Ends) -> bool:
    """Tell whether a shard ends with a usual window; else all that it holds ends with its certificates."""
    if shard.next_update < shard.refresh_by:
        return False
    if shard.next_update in ends.usual:
        return True
    return shard.next_update not in ends.of_certificates and all(end < shard.next_update for end in ends.usual)
