"""How often the answers of each issuer are signed, and of which lifetime that would be less often."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pregen import clock
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.issuers import Issuer
from pregen.validity import Refreshing, ValidityWindow, duration_text
from pregen.validity.cycles import Cycle, cycle_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCycle:
    """The cycle of all issuers that have the same one.

    Attributes:
        issuers: their first names, in the order of the configuration.
        profile: name of their profile.
        lifetime: of their answers.
        every: how often runs take place.
        cycle: theirs.
    """

    issuers: tuple[str, ...]
    profile: str
    lifetime: timedelta
    every: timedelta
    cycle: Cycle


def shared_cycles(
    issuers: Sequence[Issuer], windows: Sequence[ValidityWindow], refreshing: Refreshing
) -> tuple[SharedCycle, ...]:
    """Return the cycles of issuers with such windows, those of most issuers first."""
    known: dict[tuple[object, ...], Cycle] = {}
    sharing: dict[tuple[str, timedelta, Cycle], list[str]] = {}
    for issuer, window in zip(issuers, windows, strict=True):
        key = issuer.validity, window, issuer.not_after
        if (cycle := known.get(key)) is None:
            cap = clock.seconds(issuer.not_after)
            cycle = known[key] = cycle_of(refreshing, issuer.validity, window, cap)
        if not (issuer.is_further_name or issuer.trouble):
            terms = issuer.validity.profile.name, issuer.validity.lifetime, cycle
            sharing.setdefault(terms, []).append(issuer.names[0])
    every = timedelta(seconds=refreshing.every_s)
    listed = sorted(sharing.items(), key=lambda one: -len(one[1]))
    return tuple(
        SharedCycle(issuers=tuple(names), profile=profile, lifetime=lifetime, every=every, cycle=cycle)
        for (profile, lifetime, cycle), names in listed
    )


def late_refresh(
    issuers: Sequence[Issuer], windows: Sequence[ValidityWindow], refreshing: Refreshing
) -> tuple[Finding, ...]:
    """Warn of windows that do not last until the next run commits, where relying parties of the public judge them."""
    late = [
        (issuer, window)
        for issuer, window in zip(issuers, windows, strict=True)
        if issuer.validity.profile.is_public
        and not issuer.trouble
        and refreshing.lasts(clock.seconds(window.refresh_by), clock.seconds(window.next_update)) < 1
    ]
    if not late:
        return ()
    every = duration_text(timedelta(seconds=refreshing.every_s))
    text = (
        f"what is signed now does not last until the next run commits, which is to be expected at "
        f"{clock.text(refreshing.next_commit)} (every = {every!r}, and what a run takes), or would run out if "
        f"{refreshing.missed_runs} failed: run more often and say so in [refresh], or lengthen lifetime"
    )
    examples = tuple(
        f"{issuer.names[0]}: newer answers are due by {clock.text(window.refresh_by)}, and these end at "
        f"{clock.text(window.next_update)}"
        for issuer, window in late[:MAX_EXAMPLES]
    )
    return (Finding("refresh.late", "warning", text, len(late), examples),)
