"""Profiles: what the relying parties' rules demand of windows, as numbers.

All lengths include both ends: a window from thisUpdate to nextUpdate is nextUpdate - thisUpdate + 1 s long, an hour is
3,600 s, a day 86,400 s (TLS Baseline Requirements, 4.9.9). All limits count from thisUpdate, so backdating consumes
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

_SECOND, _HOUR, _DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
# A window of one second would begin and end at the same instant, and ASN.1 knows nothing shorter.
_SHORTEST = 2 * _SECOND


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
    """What windows must obey.

    Attributes:
        name: as the configuration writes it.
        shortest: least length of a window.
        longest: greatest length of a window; None: there is none.
        refresh: when newer answers are due; all rules hold, the earliest counts, nextUpdate itself at the latest.
        is_public: relying parties of the public judge the answers: a run is refused whose refresh_by has passed, or
            whose `--now` is not the clock's.
    """

    name: str
    shortest: timedelta = _SHORTEST
    longest: timedelta | None = None
    refresh: tuple[Refresh, ...]
    is_public: bool = True

    def refresh_span(self, length: timedelta) -> timedelta:
        """Return how long after thisUpdate a newer answer must be there; negative: it never can be in time."""
        return min(rule.span(length) for rule in self.refresh)

    def lifetime_problem(self, lifetime: timedelta) -> str | None:
        """Return what is wrong with a lifetime and what to do, or None.

        >>> PROFILES["cabf-tls"].lifetime_problem(timedelta(days=11))
        'profile cabf-tls allows at most 10d, not 11d: shorten lifetime (no public profile allows 11d)'
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
        others = [one.name for one in PROFILES.values() if one.is_public and one.lifetime_fault(lifetime) is None]
        if not others:
            return f" (no public profile allows {duration_text(lifetime)})"
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
            ),
            # TLS Baseline Requirements (version 2.2.6), 4.9.9, rules 1 to 4. Those for S/MIME are the same.
            Profile(
                name="cabf-tls",
                shortest=8 * _HOUR,
                longest=10 * _DAY,
                refresh=(
                    Refresh(below=16 * _HOUR, half="before"),  # "prior to", so half itself is too late
                    Refresh(least=16 * _HOUR, before_end=8 * _HOUR, after_start=4 * _DAY),
                ),
            ),
            # Code Signing Baseline Requirements (version 3.10), 4.9.10: every four days, at most ten days.
            Profile(name="cabf-cs", longest=10 * _DAY, refresh=(Refresh(after_start=4 * _DAY),)),
            # Mozilla Root Store Policy, 3.1: at most four days old, nextUpdate at most ten days after thisUpdate.
            Profile(name="mozilla", longest=10 * _DAY, refresh=(Refresh(after_start=4 * _DAY),)),
            # Microsoft Trusted Root Program, requirements, 3.C.2: 8 hours to 7 days; a newer answer 8 hours before the
            # end of each, and at half of those that are longer than 16 hours. A window of exactly 8 hours would have
            # to be replaced a second before it begins: `lifetime_problem` refuses it.
            Profile(
                name="microsoft",
                shortest=8 * _HOUR,
                longest=7 * _DAY,
                refresh=(Refresh(before_end=8 * _HOUR), Refresh(least=16 * _HOUR + _SECOND, half="at")),
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
