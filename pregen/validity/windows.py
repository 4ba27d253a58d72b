"""The windows of a run, by the rules of a profile.

1. thisUpdate is when the status was known to be right (RFC 6960, 2.4), not when it was signed: the earlier of the
   snapshot's as_of and the start of the run, less the backdate. All limits count from it.
2. nextUpdate = thisUpdate + lifetime - 1 s: windows include both ends (TLS Baseline Requirements, 4.9.9).
3. No window outlives the certificate of its signer or of its issuer (Mozilla Root Store Policy, 3.1).
4. refresh_by is the last instant at which a newer answer must be there.
5. Nothing is signed for the future, and nothing that is past already.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pregen.clock import text
from pregen.errors import ConfigError, GateError
from pregen.validity.profiles import PROFILES, Profile, duration_text

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Validity:
    """What windows of one issuer are to be like.

    Attributes:
        profile: the rules that they must obey.
        lifetime: their length, both ends included.
        backdate: how much earlier than the status was known to be right they begin.
        ends_with_certificate: whether none may end after the certificate that it is for.
    """

    profile: Profile
    lifetime: timedelta
    backdate: timedelta
    ends_with_certificate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityWindow:
    """The span in which answers may be served; aware UTC, whole seconds, both ends included.

    OCSP writes them as GeneralizedTime without fractions (RFC 6960, 4.2.2.1), and a client accepts an answer up to
    `next_update` itself.

    Attributes:
        produced_at: when the run started.
        this_update: when the status was known to be right, less the backdate.
        next_update: the last second of the window.
        refresh_by: the last instant at which a newer answer must be there; after `next_update` where the certificate
            has ended then (`window_until`).
        backdate: how much earlier than the status was known to be right it begins by configuration; None: not known.
    """

    produced_at: datetime
    this_update: datetime
    next_update: datetime
    refresh_by: datetime
    backdate: timedelta | None = None

    def __post_init__(self) -> None:
        for instant in (self.produced_at, self.this_update, self.next_update, self.refresh_by):
            if instant.utcoffset() != timedelta(0) or instant.microsecond:
                raise ValueError(f"not a whole UTC second: {instant.isoformat()}")
        if self.next_update <= self.this_update:
            raise ValueError(f"empty window: {self.this_update} .. {self.next_update}")
        if not self.this_update <= self.produced_at <= self.next_update:
            raise ValueError(f"produced at {self.produced_at}, outside of {self.this_update} .. {self.next_update}")
        if self.refresh_by < self.this_update:
            raise ValueError(f"refreshed by {self.refresh_by}, before it begins at {self.this_update}")

    @property
    def length(self) -> timedelta:
        """How long the window is, both ends included."""
        return self.next_update - self.this_update + _SECOND


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
        ConfigError: the profile forbids the lifetime or the backdate, or what the cap leaves of the window.
        GateError: the window has ended already, or an answer that replaces it is due already.
    """
    rules = PROFILES[profile]
    if problem := rules.lifetime_problem(lifetime) or rules.backdate_problem(lifetime, backdate):
        raise ConfigError(problem)
    this_update = min(as_of, started) - backdate
    # The shorter span is chosen before anything is added, so that no date runs over the end of the calendar.
    span = min(lifetime - _SECOND, cap - this_update)
    length, next_update = span + _SECOND, this_update + span
    if rules.lifetime_problem(length):
        raise ConfigError(
            f"the certificates of signer and issuer end at {text(cap)}, which leaves a window from {text(this_update)} "
            f"that is {_too_short(rules, length)}: renew the certificate"
        )
    is_capped = length < lifetime
    if next_update < started:
        raise GateError(
            f"answers as of {text(as_of)} end at {text(next_update)}, before this run started ({text(started)}): "
            f"take a newer snapshot, or {'renew the certificate that ends then' if is_capped else 'a longer lifetime'}"
        )
    refresh_by = this_update + rules.refresh_span(length)
    if rules.is_public and refresh_by < started:
        raise GateError(
            f"answers as of {text(as_of)} had to be replaced by {text(refresh_by)}, before this run started "
            f"({text(started)}), says profile {profile}: take a newer snapshot"
            + (f", or renew the certificate that ends at {text(cap)}" if is_capped else ", or use a longer lifetime")
        )
    return ValidityWindow(
        produced_at=started,
        this_update=this_update,
        next_update=next_update,
        refresh_by=refresh_by,
        backdate=backdate,
    )


def window_until(usual: ValidityWindow, validity: Validity, span_s: int) -> ValidityWindow:
    """Return a window that ends with its certificates, so many seconds after the start of the run; 0: the usual one.

    Where it would be shorter than its profile wants it, it begins earlier. A newer answer is due when that of the usual
    window is, be that after nextUpdate: where the certificate has ended, there is nothing to be newer.
    """
    if not span_s:
        return usual
    next_update = usual.produced_at + timedelta(seconds=span_s)
    return ValidityWindow(
        produced_at=usual.produced_at,
        this_update=min(usual.this_update, next_update - validity.profile.shortest + _SECOND),
        next_update=next_update,
        refresh_by=usual.refresh_by,
        backdate=usual.backdate,
    )


def window_problem(
    *,
    profile: str,
    this_update: datetime,
    next_update: datetime,
    produced_at: datetime,
    cap: datetime,
    refresh_by: datetime | None = None,
    ends_with_certificate: bool = False,
) -> str | None:
    """Return how a window that was signed breaks the rules of a profile, or None.

    Whoever planned it is not asked: this judges the times as a client reads them from the response.

    Args:
        profile: a key of `PROFILES`.
        this_update: from the response, aware UTC.
        next_update: as well.
        produced_at: as well.
        cap: notAfter of whatever of signer and issuer ends first (`Issuer.not_after`).
        refresh_by: when a newer answer is promised; None: no promise is judged.
        ends_with_certificate: whether the certificate ends with the window, so that no newer answer is owed.

    >>> at = datetime.fromisoformat("2026-11-24T00:00:00Z")
    >>> week = timedelta(days=7)
    >>> window_problem(profile="strict", this_update=at, next_update=at + week, produced_at=at, cap=at + 2 * week)
    '2026-11-24T00:00:00Z .. 2026-12-01T00:00:00Z is 604801s long, both ends included: profile strict allows 16h to 7d'
    """
    rules = PROFILES[profile]
    window = f"{text(this_update)} .. {text(next_update)}"
    length = next_update - this_update + _SECOND
    if length < rules.shortest or (rules.longest is not None and length > rules.longest):
        bound = f"to {duration_text(rules.longest)}" if rules.longest else "or more"
        allowed = f"{duration_text(rules.shortest)} {bound}"
        return f"{window} is {duration_text(length)} long, both ends included: profile {profile} allows {allowed}"
    if next_update > cap:
        return f"{window} outlives the certificate of its signer or issuer, which ends at {text(cap)}"
    if not this_update <= produced_at <= next_update:
        return f"{window} does not include its producedAt, {text(produced_at)}"
    is_owed = rules.is_public and not ends_with_certificate
    due = this_update + rules.refresh_span(length)
    if is_owed and produced_at > due:
        return (
            f"{window} had to be replaced by {text(due)} (profile {profile}), before it was made: {text(produced_at)}"
        )
    if is_owed and refresh_by is not None and refresh_by > due:
        return f"{window} has to be replaced by {text(due)} (profile {profile}), not only by {text(refresh_by)}"
    return None


def _too_short(rules: Profile, length: timedelta) -> str:
    """Return how a window is too short, as part of a sentence."""
    if length < rules.shortest:
        return f"shorter than the {duration_text(rules.shortest)} of profile {rules.name}"
    return f"too short for a newer answer to be there in time for profile {rules.name}"
