"""When answers are valid: the windows of a run, by the rules of a profile.

1. thisUpdate is when the status was known to be right (RFC 6960, 2.4), not when it was signed: the earlier of the
   snapshot's as_of and the start of the run, less the backdate. All limits count from it.
2. nextUpdate = thisUpdate + lifetime - 1 s: windows include both ends (TLS Baseline Requirements, 4.9.9).
3. No window outlives the certificate of its signer or of its issuer (Mozilla Root Store Policy, 3.1).
4. refresh_by is the last instant at which a newer answer must be there.
5. Nothing is signed for the future, and nothing that is past already.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from pregen.clock import text
from pregen.errors import ConfigError, GateError, InputError, UsageError

CLOCK_TOLERANCE = timedelta(minutes=5)
_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The numbers that windows must obey; a rule that a profile does not have is None.

    Attributes:
        name: as the configuration writes it.
        shortest: least length of a window, both ends included.
        longest: greatest length of a window, both ends included.
        refresh_before_end: a newer answer is there at least this long before nextUpdate.
        refresh_after_start: a newer answer is there at most this long after thisUpdate.
        is_public: relying parties of the public judge the answers: a run is refused whose refresh_by has passed, or
            whose `--now` is not the clock's.
    """

    name: str
    shortest: timedelta
    longest: timedelta | None = None
    refresh_before_end: timedelta | None = None
    refresh_after_start: timedelta | None = None
    is_public: bool = True

    def lifetime_problem(self, lifetime: timedelta) -> str | None:
        """Return what is wrong with a lifetime, or None.

        >>> PROFILES["strict"].lifetime_problem(timedelta(days=8))
        'profile strict allows at most 7d, not 8d: shorten lifetime, or use profile lab'
        """
        if lifetime < self.shortest:
            bound = f"at least {duration_text(self.shortest)}"
        elif self.longest is not None and lifetime > self.longest:
            bound = f"at most {duration_text(self.longest)}"
        else:
            return None
        change = "lengthen" if lifetime < self.shortest else "shorten"
        way_out = ", or use profile lab" if self.is_public else ""
        return f"profile {self.name} allows {bound}, not {duration_text(lifetime)}: {change} lifetime{way_out}"

    def refresh_by(self, this_update: datetime, next_update: datetime) -> datetime:
        """Return the last instant at which a newer answer must be there: half of the window at the latest."""
        bounds = [this_update + (next_update - this_update + _SECOND) // (2 * _SECOND) * _SECOND]
        if self.refresh_before_end is not None:
            bounds.append(next_update - self.refresh_before_end)
        if self.refresh_after_start is not None:
            bounds.append(this_update + self.refresh_after_start)
        return min(bounds)


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            # What TLS and S/MIME (BR 4.9.9), code signing (CSBR 3.10), Mozilla (3.1) and Microsoft allow together.
            Profile(
                name="strict",
                shortest=timedelta(hours=16),
                longest=timedelta(days=7),
                refresh_before_end=timedelta(hours=8),
                refresh_after_start=timedelta(days=4),
            ),
            # Two seconds: a window of one would begin and end at the same instant.
            Profile(name="lab", shortest=timedelta(seconds=2), is_public=False),
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityWindow:
    """The span in which answers may be served; aware UTC, whole seconds, both ends included.

    OCSP writes them as GeneralizedTime without fractions (RFC 6960, 4.2.2.1), and a client accepts an answer up to
    `next_update` itself.

    Attributes:
        produced_at: when the run started.
        this_update: when the status was known to be right, less the backdate.
        next_update: the last second of the window.
        refresh_by: the last instant at which a newer answer must be there.
    """

    produced_at: datetime
    this_update: datetime
    next_update: datetime
    refresh_by: datetime

    def __post_init__(self) -> None:
        for instant in (self.produced_at, self.this_update, self.next_update, self.refresh_by):
            if instant.utcoffset() != timedelta(0) or instant.microsecond:
                raise ValueError(f"not a whole UTC second: {instant.isoformat()}")
        if self.next_update <= self.this_update:
            raise ValueError(f"empty window: {self.this_update} .. {self.next_update}")
        if not self.this_update <= self.produced_at <= self.next_update:
            raise ValueError(f"produced at {self.produced_at}, outside of {self.this_update} .. {self.next_update}")
        if not self.this_update <= self.refresh_by <= self.next_update:
            raise ValueError(f"refreshed by {self.refresh_by}, outside of {self.this_update} .. {self.next_update}")


def plan_window(
    *, profile: str, lifetime: timedelta, backdate: timedelta, as_of: datetime, started: datetime, cap: datetime
) -> ValidityWindow:
    """Return the window of the answers of one issuer.

    Args:
        profile: a key of `PROFILES`.
        lifetime: length of the window, both ends included.
        backdate: how much earlier than the status was known to be right the window begins.
        as_of: the instant for which the snapshot is complete.
        started: start of the run, which becomes producedAt.
        cap: notAfter of whatever of signer and issuer ends first (`Issuer.not_after`); inclusive, as windows are.

    Raises:
        ConfigError: the profile forbids the lifetime, or what the cap leaves of it.
        GateError: the window has ended already, or an answer that replaces it is due already.
    """
    rules = PROFILES[profile]
    if problem := rules.lifetime_problem(lifetime):
        raise ConfigError(problem)
    this_update = min(as_of, started) - backdate
    # The shorter span is chosen before anything is added, so that no date runs over the end of the calendar.
    next_update = this_update + min(lifetime - _SECOND, cap - this_update)
    if next_update - this_update + _SECOND < rules.shortest:
        raise ConfigError(
            f"the certificates of signer and issuer end at {text(cap)}, which leaves a window from {text(this_update)} "
            f"that is shorter than the {duration_text(rules.shortest)} of profile {profile}: renew the certificate"
        )
    if next_update < started:
        raise GateError(
            f"answers as of {text(as_of)} end at {text(next_update)}, before this run started ({text(started)}): "
            "take a newer snapshot, or a longer lifetime"
        )
    refresh_by = rules.refresh_by(this_update, next_update)
    if rules.is_public and refresh_by < started:
        raise GateError(
            f"answers as of {text(as_of)} had to be replaced by {text(refresh_by)}, before this run started "
            f"({text(started)}): take a newer snapshot, or a longer lifetime"
        )
    return ValidityWindow(produced_at=started, this_update=this_update, next_update=next_update, refresh_by=refresh_by)


def check_run_times(
    *, profile: str, as_of: datetime, started: datetime, clock_now: datetime, current_as_of: datetime | None
) -> None:
    """Refuse a run whose times cannot be true.

    Args:
        profile: a key of `PROFILES`.
        as_of: the instant for which the snapshot is complete.
        started: start of the run: the clock's, or what ``--now`` says.
        clock_now: the clock's own instant.
        current_as_of: as_of of the commit that this run is to replace; None: nothing is published yet.

    Raises:
        UsageError: ``--now`` is far from the clock, under a public profile.
        InputError: the snapshot comes from the future, or from before 1970.
        GateError: the snapshot is older than what is published.
    """
    if PROFILES[profile].is_public and abs(started - clock_now) > CLOCK_TOLERANCE:
        raise UsageError(
            f"--now {text(started)} is more than {duration_text(CLOCK_TOLERANCE)} from the clock "
            f"({text(clock_now)}), and would sign for another time: leave it out, or use profile lab"
        )
    if as_of > started + CLOCK_TOLERANCE:
        raise InputError(
            f"the snapshot's as_of {text(as_of)} is more than {duration_text(CLOCK_TOLERANCE)} after the start of this "
            f"run ({text(started)}): look for a time that was written in a local zone and declared as UTC"
        )
    if as_of < _EPOCH:
        raise InputError(f"the snapshot's as_of {text(as_of)} is before 1970: correct it at its source")
    if current_as_of is not None and as_of < current_as_of:
        raise GateError(
            f"the snapshot's as_of {text(as_of)} is older than that of the current commit ({text(current_as_of)}), "
            f"and would take back newer revocations: {_way_out(current_as_of, clock_now)}"
        )


def check_still_timely(
    *, profile: str, started: datetime, clock_now: datetime, windows: Iterable[ValidityWindow]
) -> None:
    """Refuse to publish what a run has signed, where it was stopped for too long, or its clock was wrong.

    Args:
        profile: a key of `PROFILES`.
        started: start of the run, by the clock as it was then.
        clock_now: the clock's instant after the last signature.
        windows: of all issuers.

    Raises:
        GateError: the clock went backwards, or newer answers are due already; only under a public profile.
    """
    if not PROFILES[profile].is_public:
        return
    if clock_now < started - CLOCK_TOLERANCE:
        raise GateError(
            f"the clock went back during this run, from {text(started)} to {text(clock_now)}: its answers are for "
            "another time; nothing was published; look after the clock, then run again"
        )
    due = min(window.refresh_by for window in windows)
    if clock_now > due:
        raise GateError(
            f"this run has taken from {text(started)} to {text(clock_now)}, and its answers had to be replaced by "
            f"{text(due)}: nothing was published; run again"
        )


def _way_out(current_as_of: datetime, clock_now: datetime) -> str:
    if current_as_of <= clock_now + CLOCK_TOLERANCE:
        return "take a newer snapshot"
    return (
        "that commit comes from the future, so its publisher's clock was wrong, or this one is; if it was the "
        "publisher's, publish into a new store and let the edges serve that"
    )


def duration_text(span: timedelta) -> str:
    """Return whole seconds as the configuration writes them, in the largest unit that divides them.

    >>> duration_text(timedelta(hours=36)), duration_text(timedelta(days=7))
    ('36h', '7d')
    """
    span_s = int(span.total_seconds())
    unit, size_s = next(
        (unit, size) for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)) if span_s % size == 0
    )
    return f"{span_s // size_s}{unit}"
