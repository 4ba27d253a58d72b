"""What becomes of a certificate, for each kind of change and for all that the head may say of it."""

import itertools

import numpy as np
import pytest

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import Origin
from pregen.urgent.deciding import Decided, Fate, Standing, Statements, decide
from pregen.urgent.orders import ChangeKind
from storage.overlay_part import NO_EXPIRY_32

GOOD, FINAL, HELD, UNKNOWN = (
    RememberedStatus.GOOD,
    RememberedStatus.REVOKED,
    RememberedStatus.ON_HOLD,
    RememberedStatus.UNKNOWN,
)
COMPROMISED, SUPERSEDED, HOLD, NONE = 1, 4, 6, -1
BEFORE, THEN, AFTER = 1_000, 2_000, 3_000
Said = tuple[RememberedStatus, int, int]  # status, revoked_at, reason


def statements(
    status: RememberedStatus, revoked_at: int = 0, reason: int = NONE, not_after: int = NO_EXPIRY_32
) -> Statements:
    return Statements(
        np.array([status], np.uint8),
        np.array([revoked_at], np.uint32),
        np.array([reason], np.int8),
        np.array([not_after], np.uint32),
    )


def standing(said: Said | None, origin: Origin = Origin.RUN, as_of: int = THEN, *, has_ended: bool = False) -> Standing:
    return Standing(
        statements(*said) if said else statements(GOOD),
        np.array([said is not None]),
        np.array([as_of]),
        np.array([origin], np.uint8),
        np.array([has_ended]),
    )


def fate(decided: Decided) -> Fate:
    return Fate(int(decided.fate[0]))


def signed(decided: Decided) -> Said:
    said = decided.said
    return RememberedStatus(int(said.status[0])), int(said.revoked_at[0]), int(said.reason[0])


@pytest.mark.parametrize(
    ("before", "reason", "becomes", "as_signed"),
    [
        ((GOOD, 0, NONE), SUPERSEDED, Fate.LANDS, (FINAL, 500, SUPERSEDED)),
        ((UNKNOWN, 0, NONE), NONE, Fate.LANDS, (FINAL, 500, NONE)),
        ((HELD, 100, HOLD), NONE, Fate.LANDS, (FINAL, 500, NONE)),
        ((FINAL, 100, SUPERSEDED), NONE, Fate.STANDS, None),
        ((FINAL, 100, NONE), SUPERSEDED, Fate.STANDS, None),
        ((FINAL, 100, SUPERSEDED), COMPROMISED, Fate.LANDS, (FINAL, 100, COMPROMISED)),
        ((FINAL, 100, COMPROMISED), COMPROMISED, Fate.STANDS, None),
        ((FINAL, 100, COMPROMISED), SUPERSEDED, Fate.STANDS, None),
        (None, SUPERSEDED, Fate.STRANGE, None),
    ],
)
def test_revoke_makes_final_whatever_is_not(before: Said | None, reason: int, becomes: Fate, as_signed: Said) -> None:
    for origin in Origin:
        decided = decide(ChangeKind.REVOKE, statements(FINAL, 500, reason), standing(before, origin), as_of=BEFORE)
        assert fate(decided) is becomes
        assert as_signed is None or signed(decided) == as_signed


def test_revoke_counts_from_the_time_that_it_names_and_takes_what_says_when_it_ends() -> None:
    wanted = statements(FINAL, 500, COMPROMISED)
    named = decide(ChangeKind.REVOKE, wanted, standing((FINAL, 100, NONE)), as_of=THEN, says_when=True)
    assert signed(named) == (FINAL, 500, COMPROMISED)
    new = decide(ChangeKind.REVOKE, statements(FINAL, 500, NONE, 9_000), standing(None), as_of=THEN)
    assert (fate(new), int(new.said.not_after[0])) == (Fate.LANDS, 9_000)
    again = decide(ChangeKind.REVOKE, wanted, standing(None), as_of=THEN, is_again=np.array([True]))
    assert fate(again) is Fate.LANDS


@pytest.mark.parametrize(
    ("before", "hold", "release"),
    [
        ((GOOD, 0, NONE), Fate.LANDS, Fate.STANDS),
        ((UNKNOWN, 0, NONE), Fate.LANDS, Fate.STANDS),
        ((HELD, 100, HOLD), Fate.STANDS, Fate.LANDS),
        ((FINAL, 100, NONE), Fate.FINAL, Fate.FINAL),
        (None, Fate.STRANGE, Fate.STRANGE),
    ],
)
def test_hold_and_release_take_what_is_not_final(before: Said | None, hold: Fate, release: Fate) -> None:
    for origin in Origin:
        held = decide(ChangeKind.HOLD, statements(HELD, 500, HOLD), standing(before, origin), as_of=AFTER)
        released = decide(ChangeKind.RELEASE, statements(GOOD), standing(before, origin), as_of=AFTER)
        assert (fate(held), fate(released)) == (hold, release)


@pytest.mark.parametrize("as_of", [BEFORE, THEN, AFTER])
@pytest.mark.parametrize("origin", Origin)
def test_no_row_takes_a_final_revocation_back(origin: Origin, as_of: int) -> None:
    for status in (GOOD, UNKNOWN, HELD):
        row = statements(status, 500 if status == HELD else 0, HOLD if status == HELD else NONE)
        decided = decide(ChangeKind.DELTA, row, standing((FINAL, 100, NONE), origin), as_of=as_of)
        unconfirmed = origin in {Origin.DELTA, Origin.REVOKE}
        assert fate(decided) is (Fate.AHEAD if unconfirmed else Fate.UNDOES)


@pytest.mark.parametrize("as_of", [BEFORE, THEN, AFTER])
def test_a_final_row_lands_whatever_the_times_and_key_compromise_stays(as_of: int) -> None:
    row = statements(FINAL, 500, SUPERSEDED)
    for before, origin in itertools.product(((GOOD, 0, NONE), (HELD, 100, HOLD), (UNKNOWN, 0, NONE)), Origin):
        assert fate(decide(ChangeKind.DELTA, row, standing(before, origin), as_of=as_of)) is Fate.LANDS
    compromised = decide(ChangeKind.DELTA, row, standing((FINAL, 100, COMPROMISED)), as_of=as_of)
    assert (fate(compromised), signed(compromised)) == (Fate.LANDS, (FINAL, 500, COMPROMISED))
    same = decide(ChangeKind.DELTA, row, standing((FINAL, 500, SUPERSEDED)), as_of=as_of)
    assert fate(same) is Fate.STANDS


@pytest.mark.parametrize(("as_of", "becomes"), [(BEFORE, Fate.STANDS), (THEN, Fate.LANDS), (AFTER, Fate.LANDS)])
def test_of_everything_else_the_later_instant_counts(as_of: int, becomes: Fate) -> None:
    for row, before in (
        (statements(HELD, 500, HOLD), (GOOD, 0, NONE)),
        (statements(UNKNOWN), (GOOD, 0, NONE)),
        (statements(GOOD), (HELD, 100, HOLD)),
    ):
        assert fate(decide(ChangeKind.DELTA, row, standing(before), as_of=as_of)) is becomes
    assert fate(decide(ChangeKind.DELTA, statements(GOOD), standing((GOOD, 0, NONE)), as_of=as_of)) is Fate.STANDS
    assert fate(decide(ChangeKind.DELTA, statements(GOOD), standing(None), as_of=as_of)) is Fate.LANDS


def test_a_hold_by_hold_stays_while_rows_say_otherwise() -> None:
    for status, becomes in ((GOOD, Fate.HELD), (UNKNOWN, Fate.HELD), (FINAL, Fate.LANDS)):
        decided = decide(ChangeKind.DELTA, statements(status), standing((HELD, 100, HOLD), Origin.HOLD), as_of=AFTER)
        assert fate(decided) is becomes


@pytest.mark.parametrize(
    ("kind", "wanted", "becomes"),
    [
        (ChangeKind.DELTA, (GOOD, 0, NONE), Fate.UNDOES),
        (ChangeKind.DELTA, (HELD, 500, HOLD), Fate.UNDOES),
        (ChangeKind.DELTA, (FINAL, 500, NONE), Fate.LANDS),
        (ChangeKind.REVOKE, (FINAL, 500, NONE), Fate.LANDS),
        (ChangeKind.HOLD, (HELD, 500, HOLD), Fate.FINAL),
        (ChangeKind.RELEASE, (GOOD, 0, NONE), Fate.FINAL),
    ],
)
def test_what_was_revoked_until_it_had_ended_is_final(kind: ChangeKind, wanted: Said, becomes: Fate) -> None:
    decided = decide(kind, statements(*wanted, not_after=900), standing(None, has_ended=True), as_of=500)
    assert fate(decided) == becomes
    assert signed(decided) == wanted
