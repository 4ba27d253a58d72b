"""Profiles: what the relying parties' rules demand of windows, as numbers, and of reasons of revocation.

All lengths include both ends: a window from thisUpdate to nextUpdate is nextUpdate - thisUpdate + 1 s long, an hour is
3,600 s, a day 86,400 s (TLS Baseline Requirements, 4.9.9). All limits count from thisUpdate, so backdating consumes
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from pregen.reasons import AA_COMPROMISE, CA_COMPROMISE, CERTIFICATE_HOLD
from pregen.validity.reason_rules import ReasonRules

_SECOND, _HOUR, _DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
# A window of one second would begin and end at the same instant, and ASN.1 knows nothing shorter.
_SHORTEST = 2 * _SECOND
_ANY_REASON = ReasonRules()
# The table of TLS Baseline Requirements, 7.2.2, has neither of the three for certificates of subscribers, and 4.9.13
# knows no suspension; 7.3 wants the reason of each CA. cACompromise is allowed to these: it is what its name says.
_TLS_REASONS = ReasonRules(
    not_of_end_entities=frozenset({CA_COMPROMISE, CERTIFICATE_HOLD, AA_COMPROMISE}),
    not_of_cas=frozenset({CERTIFICATE_HOLD, AA_COMPROMISE}),
    of_cas=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """When a newer answer must be there, for windows of some lengths; a limit that a rule does not have is None.

    Attributes:
        least: the rule is for windows of at least this length.
        below: the rule is for windows that are shorter than this.
        before_end: at least so long before nextUpdate.
        after_start: at most so long after thisUpdate.
        half: when half of the window is over ("at"), or while more than half of it is still to come ("before").
    """

    least: timedelta = _SHORTEST
    below: timedelta = timedelta.max
    before_end: timedelta | None = None
    after_start: timedelta | None = None
    half: Literal["at", "before"] | None = None

    def span(self, length: timedelta) -> timedelta:
        """Return how long after thisUpdate a newer answer must be there, for a window of a length.

        >>> eight_hours_before = Refresh(before_end=timedelta(hours=8))
        >>> eight_hours_before.span(timedelta(hours=16))
        datetime.timedelta(seconds=28799)
        """
        last = length - _SECOND  # of the window, counted from its first second
        if not self.least <= length < self.below:
            return last
        spans = [last]
        if self.before_end is not None:
            spans.append(last - self.before_end)
        if self.after_start is not None:
            spans.append(self.after_start)
        if self.half == "at":
            spans.append(length // (2 * _SECOND) * _SECOND)
        elif self.half == "before":  # the last second that is earlier than nextUpdate less half of the window
            spans.append(last - (length // (2 * _SECOND) + 1) * _SECOND)
        return min(spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What windows and reasons of revocation must obey.

    Attributes:
        name: as the configuration writes it.
        shortest: least length of a window.
        longest: greatest length of a window; None: there is none.
        refresh: when newer answers are due; all rules hold, the earliest counts, nextUpdate itself at the latest.
        is_public: relying parties of the public judge the answers: a run is refused whose refresh_by has passed, or
            whose `--now` is not the clock's.
        reasons: what reasons of revocation may be given.
        is_for_cas: whether it holds for certificates of CAs alone.
    """

    name: str
    shortest: timedelta = _SHORTEST
    longest: timedelta | None = None
    refresh: tuple[Refresh, ...]
    is_public: bool = True
    reasons: ReasonRules = _ANY_REASON
    is_for_cas: bool = False

    def refresh_span(self, length: timedelta) -> timedelta:
        """Return how long after thisUpdate a newer answer must be there; negative: it never can be in time."""
        return min(rule.span(length) for rule in self.refresh)

    def lifetime_problem(self, lifetime: timedelta) -> str | None:
        """Return what is wrong with a lifetime and what to do, or None.

        >>> PROFILES["cabf-tls"].lifetime_problem(timedelta(days=366))
        'profile cabf-tls allows at most 10d, not 366d: shorten lifetime (no public profile allows 366d)'
        """
        fault = self.lifetime_fault(lifetime)
        return fault and f"{fault}{self._other_profiles(lifetime)}"

    def lifetime_fault(self, lifetime: timedelta) -> str | None:
        """Return what is wrong with a lifetime under this profile, and how to change it, or None."""
        given = duration_text(lifetime)
        if lifetime < self.shortest:
            bound = f"at least {duration_text(self.shortest)}"
            return f"profile {self.name} allows {bound}, not {given}: lengthen lifetime"
        if self.longest is not None and lifetime > self.longest:
            bound = f"at most {duration_text(self.longest)}"
            return f"profile {self.name} allows {bound}, not {given}: shorten lifetime"
        if self.refresh_span(lifetime) < timedelta(0):
            return (
                f"under profile {self.name}, an answer that is valid for {given} had to be replaced before it begins: "
                "lengthen lifetime"
            )
        return None

    def _other_profiles(self, lifetime: timedelta) -> str:
        """Return which public profiles allow a lifetime that this one forbids, as the end of a sentence.

        `lab` is never advised in place of a public profile: nothing that the public judges may be signed under it.
        """
        if not self.is_public:
            return ""
        fitting = [one for one in PROFILES.values() if one.is_public and one.lifetime_fault(lifetime) is None]
        others = [one.name for one in fitting if not one.is_for_cas]
        if not others:
            if not fitting:
                return f" (no public profile allows {duration_text(lifetime)})"
            [one] = fitting
            return f" (only profile {one.name} allows {duration_text(lifetime)}, for certificates of CAs alone)"
        *most, last = others
        listed = f"{', '.join(most)} or {last}" if most else last
        return f", or use profile {listed} if no other rules bind this issuer"

    def backdate_problem(self, lifetime: timedelta, backdate: timedelta) -> str | None:
        """Return what is wrong with a backdate, for a lifetime that is allowed, or None.

        >>> PROFILES["mozilla"].backdate_problem(timedelta(days=10), timedelta(days=5))
        'a backdate of 5d uses up the 4d after which profile mozilla wants a newer answer: shorten backdate'
        """
        span = self.refresh_span(lifetime)
        if not self.is_public or backdate <= span:
            return None
        return (
            f"a backdate of {duration_text(backdate)} uses up the {duration_text(span)} after which profile "
            f"{self.name} wants a newer answer: shorten backdate"
        )


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            # Whatever satisfies all of the public ones below, at every length.
            Profile(
                name="strict",
                shortest=16 * _HOUR,  # from here on, one rule of the Baseline Requirements for all
                longest=7 * _DAY,  # Microsoft's: nextUpdate is at most 7 days less a second after thisUpdate
                refresh=(Refresh(before_end=8 * _HOUR, after_start=4 * _DAY, half="at"),),
                reasons=_TLS_REASONS,
            ),
            # TLS Baseline Requirements (version 2.2.6), 4.9.9.
            Profile(
                name="cabf-tls",
                shortest=8 * _HOUR,
                longest=10 * _DAY,
                refresh=(
                    Refresh(below=16 * _HOUR, half="before"),  # "prior to", so half itself is too late
                    Refresh(least=16 * _HOUR, before_end=8 * _HOUR, after_start=4 * _DAY),
                ),
                reasons=_TLS_REASONS,
            ),
            # S/MIME Baseline Requirements (version 1.0.10), 4.9.10: the windows of TLS. 7.2.2: certificateHold is not
            # for CAs; of a Strict certificate it is forbidden too, but no row says which ones are; the reason must be
            # the most appropriate one, which that of a CA or of an attribute authority never is for a subscriber.
            Profile(
                name="cabf-smime",
                shortest=8 * _HOUR,
                longest=10 * _DAY,
                refresh=(
                    Refresh(below=16 * _HOUR, half="before"),
                    Refresh(least=16 * _HOUR, before_end=8 * _HOUR, after_start=4 * _DAY),
                ),
                reasons=replace(_TLS_REASONS, not_of_end_entities=frozenset({CA_COMPROMISE, AA_COMPROMISE})),
            ),
            # Code Signing Baseline Requirements (version 3.10), 4.9.10: every four days, at most ten days. 4.9.13: no
            # suspension. Of other reasons they say nothing.
            Profile(
                name="cabf-cs",
                longest=10 * _DAY,
                refresh=(Refresh(after_start=4 * _DAY),),
                reasons=ReasonRules(
                    not_of_end_entities=frozenset({CERTIFICATE_HOLD}), not_of_cas=frozenset({CERTIFICATE_HOLD})
                ),
            ),
            # Mozilla Root Store Policy (version 3.1), 6: at most four days old, nextUpdate at most ten days after
            # thisUpdate. 2.3 and 6.1.1: the reasons of the TLS Baseline Requirements.
            Profile(name="mozilla", longest=10 * _DAY, refresh=(Refresh(after_start=4 * _DAY),), reasons=_TLS_REASONS),
            # Microsoft Trusted Root Program, requirements (version 1.1), 3.2.2: 8 hours to 7 days; a newer answer 8
            # hours before the end of each, and at half of those that are longer than 16 hours. A window of exactly 8
            # hours would have to be replaced a second before it begins: `lifetime_problem` refuses it. 2.1.7: CAs give
            # a reason.
            Profile(
                name="microsoft",
                shortest=8 * _HOUR,
                longest=7 * _DAY,
                refresh=(Refresh(before_end=8 * _HOUR), Refresh(least=16 * _HOUR + _SECOND, half="at")),
                reasons=ReasonRules(of_cas=True),
            ),
            # TLS Baseline Requirements, 4.9.9, S/MIME and Code Signing ones, 4.9.10, on the status of subordinate CAs:
            # a newer answer every twelve months, counted as 365 days here, and within 24 hours of a revocation, which
            # is when to run. Nothing else binds these windows. That a newer answer is due two weeks before the end, or
            # at half of a short one, is our own advice: ceremonies have to be planned.
            Profile(
                name="offline-ca",
                longest=365 * _DAY,
                refresh=(Refresh(below=28 * _DAY, half="at"), Refresh(least=28 * _DAY, before_end=14 * _DAY)),
                reasons=_TLS_REASONS,
                is_for_cas=True,
            ),
            # No bounds. Half of a window is our own advice to edges and operators; no run is refused for it.
            Profile(name="lab", refresh=(Refresh(half="at"),), is_public=False),
        )
    }
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
