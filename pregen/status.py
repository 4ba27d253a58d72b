"""How what is published stands, for monitoring: until when answers hold, what is overdue, which certificates end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from pregen import clock
from storage.certificate import ENDS_SOON_S, CertificateEnds, certificate_ends
from storage.commits import Commit, find_head
from storage.errors import (
    FormatError,
    NothingPublishedError,
    UnknownFeatureError,
    UnsupportedVersionError,
)
from storage.freshness import CLOCK_TOLERANCE_S, Freshness, IssuerFreshness
from storage.manifest import LeftBehind
from storage.reader import Generation
from storage.stores import Store


class Level(IntEnum):
    """How bad it is; the numbers are the exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be, and whose it is; None: of no issuer alone."""

    level: Level
    text: str
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerStatus:
    """One issuer."""

    freshness: IssuerFreshness
    ends: CertificateEnds


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a store stands.

    Attributes:
        url: of the store.
        now: when it was looked at, in seconds since 1970.
        commit: the newest; None: there is none that can be read.
        freshness: until when its answers hold; None likewise.
        issuers: those whose answers end first, first.
        problems: the worst first.
    """

    url: str
    now: int
    commit: Commit | None = None
    freshness: Freshness | None = None
    issuers: tuple[IssuerStatus, ...] = ()
    problems: tuple[Problem, ...]

    @property
    def level(self) -> Level:
        """The worst of all."""
        return max((problem.level for problem in self.problems), default=Level.OK)


def status_of(store: Store, warn_s: int, crit_s: int) -> Status:
    """Return how a store stands.

    Args:
        store: where it is.
        warn_s: so long before answers of an issuer run out, there is a warning.
        crit_s: so long before, it is critical.

    Raises:
        UpgradeNeededError, UnsupportedVersionError, UnknownFeatureError: it was written by a newer version.
        OSError: it does not answer.
    """
    now = clock.seconds(clock.now())
    try:
        generation = _newest(store)
    except (UnsupportedVersionError, UnknownFeatureError):
        raise  # nothing is wrong with the store: it is this program that is too old
    except (NothingPublishedError, FormatError) as fault:
        return Status(url=store.url, now=now, problems=(Problem(Level.CRITICAL, str(fault)),))
    except FileNotFoundError as lost:
        text = f"a part of the newest generation is lost ({lost.filename or lost})"
        return Status(url=store.url, now=now, problems=(Problem(Level.CRITICAL, text),))
    ahead = clock.seconds_ahead_of(lambda: store.clock_s(may_write=False))  # who watches has no rights to write
    freshness = generation.freshness
    ends = certificate_ends(loaded.tables for loaded in generation.tables.values())
    issuers = sorted(
        (IssuerStatus(freshness=one, ends=ends[one.issuer_id]) for one in freshness.issuers), key=_holds_until
    )
    problems = [
        *_of_clock(freshness, now, ahead),
        *(problem for one in issuers for problem in _of_issuer(one, now, warn_s, crit_s)),
        *_of_shards(freshness, now),
        *_of_left_behind(generation.manifest.left_behind),
    ]
    return Status(
        url=store.url,
        now=now,
        commit=generation.commit,
        freshness=freshness,
        issuers=tuple(issuers),
        problems=tuple(sorted(problems, key=lambda problem: -problem.level)),
    )


def _newest(store: Store) -> Generation:
    head = find_head(store)
    if head is None:
        raise NothingPublishedError(store.url)
    return Generation(store, head)


def _holds_until(issuer: IssuerStatus) -> int:
    ends = issuer.freshness.holds_until, issuer.freshness.fresh_until
    return next((end for end in ends if end is not None), 1 << 62)


def _of_issuer(issuer: IssuerStatus, now: int, warn_s: int, crit_s: int) -> Iterator[Problem]:
    own = issuer.freshness
    state = own.state(now)
    if own.holds_until is not None:
        left, until = own.holds_until - now, clock.text(own.holds_until)
        if state == "expired":
            yield Problem(Level.CRITICAL, f"answers of {own.label} have run out at {until}", own.label)
        elif left < warn_s:
            level = Level.CRITICAL if left < crit_s else Level.WARNING
            text = f"answers of {own.label} hold until {until}, for {clock.length_text(left)}"
            yield Problem(level, text, own.label)
    if own.refresh_by is not None and now > own.refresh_by:
        late = clock.length_text(now - own.refresh_by)
        text = f"newer answers of {own.label} are overdue since {clock.text(own.refresh_by)}, for {late}"
        yield Problem(Level.WARNING, text, own.label)
    for name, end in (("responder certificate", issuer.ends.responder), ("certificate", issuer.ends.issuer)):
        if end is None or end - now >= ENDS_SOON_S:
            continue
        if end < now:
            yield Problem(Level.CRITICAL, f"the {name} of {own.label} has ended at {clock.text(end)}", own.label)
        else:
            left_text = clock.length_text(end - now)
            text = f"the {name} of {own.label} ends at {clock.text(end)}, in {left_text}: renew it"
            yield Problem(Level.WARNING, text, own.label)


def _of_shards(freshness: Freshness, now: int) -> Iterator[Problem]:
    if expired := freshness.shards_expired(now):
        yield Problem(Level.CRITICAL, f"answers of {expired} of {len(freshness.shard_ends)} shards have run out")


def _of_left_behind(left: Iterable[LeftBehind]) -> Iterator[Problem]:
    for one in left:
        until = "" if one.as_of is None else f"; its answers are as of {clock.text(one.as_of)}"
        out = f", and {one.left_out:,} of its certificates have no right one" if one.left_out else ""
        text = f"{one.name} was left behind, because it cannot sign: {one.trouble}{until}{out}"
        yield Problem(Level.CRITICAL if one.left_out else Level.WARNING, text, one.name)


def _of_clock(freshness: Freshness, now: int, ahead_s: float | None) -> Iterator[Problem]:
    if now < freshness.begins or now < freshness.produced_at - CLOCK_TOLERANCE_S:
        behind = clock.length_text(max(freshness.begins, freshness.produced_at) - now)
        yield Problem(Level.WARNING, f"the clock here is {behind} behind what is published: one of both is wrong")
    if ahead_s is not None and abs(ahead_s) > CLOCK_TOLERANCE_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        text = f"the clock here is {clock.length_text(int(abs(ahead_s)))} {way} that of the store: one of both is wrong"
        yield Problem(Level.WARNING, text)
