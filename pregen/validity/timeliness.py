"""When a run may take place, and when what it has signed may still be published."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pregen.clock import length_text, text
from pregen.errors import Finding, GateError, InputError, UsageError
from pregen.validity.profiles import duration_text
from pregen.validity.windows import ValidityWindow
from storage.document import EPOCH
from storage.freshness import CLOCK_TOLERANCE_S

CLOCK_SKEW_S = 300  # by so much clocks of two machines may differ, one of which is not ours
CLOCK_SKEW = timedelta(seconds=CLOCK_SKEW_S)


def check_run_times(
    *, is_public: bool, as_of: datetime, started: datetime, clock_now: datetime, current_as_of: datetime | None
) -> None:
    """Refuse a run whose times cannot be true.

    Args:
        is_public: whether any issuer's profile is.
        as_of: the instant for which the snapshot is complete.
        started: start of the run: the clock's, or what ``--now`` says.
        clock_now: the clock's own instant.
        current_as_of: as_of of the commit that this run is to replace; None: nothing is published yet.

    Raises:
        UsageError: ``--now`` is far from the clock, under a public profile.
        InputError: the snapshot comes from the future, or from before 1970.
        GateError: the snapshot is older than what is published.
    """
    if is_public and abs(started - clock_now) > CLOCK_SKEW:
        raise UsageError(
            f"--now {text(started)} is more than {duration_text(CLOCK_SKEW)} from the clock "
            f"({text(clock_now)}), and would sign for another time: leave it out "
            "(only profile lab, for tests, takes it)"
        )
    if as_of > started + CLOCK_SKEW:
        raise InputError(
            f"the snapshot's as_of {text(as_of)} is more than {duration_text(CLOCK_SKEW)} after the start of this "
            f"run ({text(started)}): look for a time that was written in a local zone and declared as UTC"
        )
    if as_of < EPOCH:
        raise InputError(f"the snapshot's as_of {text(as_of)} is before 1970: correct it at its source")
    if current_as_of is not None and as_of < current_as_of:
        raise GateError(
            f"the snapshot's as_of {text(as_of)} is older than that of the current commit ({text(current_as_of)}), "
            f"and would take back newer revocations: {_way_out(current_as_of, clock_now)}"
        )


def check_store_clock(ahead_s: float | None, store: str) -> tuple[Finding, ...]:
    """Refuse to publish by a clock that is not the store's: one of both is wrong, and answers would be of its time.

    Args:
        ahead_s: how far the clock here is ahead of the store's, negative where it is behind; None: the store's is
            not known.
        store: where it is.

    Returns:
        A warning where nothing is known.

    Raises:
        GateError: they are more than a minute apart.
    """
    if ahead_s is None:
        text = f"{store} does not say what time it is there, so that the clock here could not be compared with it"
        return (Finding("clock.unchecked", "warning", text),)
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return ()
    way = "ahead of" if ahead_s > 0 else "behind"
    text = (
        f"the clock here is {length_text(int(abs(ahead_s)))} {way} that of {store}, and answers are signed by it: set "
        "the one right that is wrong (time synchronisation: chrony, systemd-timesyncd), then run again"
    )
    raise GateError(
        f"the clocks of this machine and of the store differ by more than {CLOCK_TOLERANCE_S} seconds; nothing "
        "was published",
        [Finding("clock.store", "error", text)],
    )


def check_still_timely(
    *, started: datetime, clock_now: datetime, windows: Iterable[ValidityWindow], kept: datetime | None = None
) -> None:
    """Refuse to publish what a run has signed, where it was stopped for too long, or its clock was wrong.

    Args:
        started: start of the run, by the clock as it was then.
        clock_now: the clock's instant after the last signature.
        windows: of the issuers under public profiles; without any, nothing is refused.
        kept: when the first of the answers is due that stay from the generation before; None: there are none.

    Raises:
        GateError: the clock went backwards, or newer answers are due already.
    """
    due = min((window.refresh_by for window in windows), default=None)
    if due is None:
        return
    due = min(due, kept or due)
    if clock_now < started - CLOCK_SKEW:
        raise GateError(
            f"the clock went back during this run, from {text(started)} to {text(clock_now)}: its answers are for "
            "another time; nothing was published; look after the clock, then run again"
        )
    if clock_now > due:
        raise GateError(
            f"this run has taken from {text(started)} to {text(clock_now)}, and its answers had to be replaced by "
            f"{text(due)}: nothing was published; run again"
        )


def _way_out(current_as_of: datetime, clock_now: datetime) -> str:
    if current_as_of <= clock_now + CLOCK_SKEW:
        return "take a newer snapshot"
    return (
        "that commit comes from the future, so its publisher's clock was wrong, or this one is; if it was the "
        "publisher's, publish into a new store and let the edges serve that"
    )
