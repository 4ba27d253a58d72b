"""Which entries of CRLs say revoked at the instant of a snapshot."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pregen.gates.listed import SAYS_FINAL, SAYS_HOLD, SAYS_NOTHING, says
from pregen.snapshot import CrlEntries, RevocationList

AS_OF, SKEW_S, HOUR = 1_000_000_000, 300, 3_600
ALONE = np.array([0, 1, 0], np.int32)  # the third issuer has the name of the first


def listing(*entries: tuple[int, int, int], **changes: Any) -> RevocationList:
    """Return a CRL of an hour ago, valid for a day, of entries: serial, reason, and how long before as_of."""
    serial = pa.array([bytes([one]) for one, _, _ in entries], pa.binary())
    revoked_at = np.array([AS_OF - age for _, _, age in entries], np.int64)
    reason = np.array([reason for _, reason, _ in entries], np.int8)
    fields = {
        "path": Path("ca.crl"),
        "issuer": 0,
        "this_update": AS_OF - HOUR,
        "next_update": AS_OF + 23 * HOUR,
        "scope": b"",
        "is_delta": False,
        "entries": CrlEntries(serial, revoked_at, reason, {}),
    }
    return RevocationList(**{**fields, **changes})


def said(*lists: RevocationList) -> list[list[int]]:
    return [one.tolist() for one in says(lists, ALONE, AS_OF, SKEW_S)]


HELD = (5, 6, 9 * HOUR)


def test_all_reasons_but_those_of_holds_are_final() -> None:
    reasons = (-1, 0, 1, 2, 3, 4, 5, 9, 10, 6, 8)
    found = said(listing(*((at, reason, HOUR) for at, reason in enumerate(reasons, 1))))

    assert found == [[SAYS_FINAL] * 9 + [SAYS_HOLD, SAYS_NOTHING]]


@pytest.mark.parametrize(
    ("changes", "final", "hold"),
    [
        ({}, SAYS_FINAL, SAYS_HOLD),
        ({"next_update": AS_OF}, SAYS_FINAL, SAYS_HOLD),
        ({"next_update": AS_OF - 1}, SAYS_FINAL, SAYS_NOTHING),
        ({"next_update": None}, SAYS_FINAL, SAYS_HOLD),
        ({"is_superseded": True}, SAYS_FINAL, SAYS_NOTHING),
        ({"this_update": AS_OF + HOUR}, SAYS_FINAL, SAYS_HOLD),
    ],
)
def test_a_hold_counts_while_its_crl_is_valid(changes: dict[str, Any], final: int, hold: int) -> None:
    assert said(listing((4, 1, 9 * HOUR), HELD, **changes)) == [[final, hold]]


def test_of_a_crl_that_is_later_than_as_of_what_was_revoked_since_does_not_count() -> None:
    later = listing((4, 1, SKEW_S), (5, 1, SKEW_S - 1), (6, 6, -HOUR), this_update=AS_OF + HOUR)

    assert said(later) == [[SAYS_FINAL, SAYS_NOTHING, SAYS_NOTHING]]


@pytest.mark.parametrize(
    ("other", "hold"),
    [
        (listing(this_update=AS_OF - 60), SAYS_NOTHING),
        (listing(this_update=AS_OF - 60, issuer=2), SAYS_NOTHING),
        (listing(this_update=AS_OF - 60, issuer=1), SAYS_HOLD),
        (listing(this_update=AS_OF - 60, scope=b"another"), SAYS_HOLD),
        (listing(this_update=AS_OF - 60, is_delta=True), SAYS_HOLD),
        (listing((5, 8, HOUR), this_update=AS_OF - 60, is_delta=True), SAYS_NOTHING),
        (listing((6, 8, HOUR), this_update=AS_OF - 60, is_delta=True), SAYS_HOLD),
        (listing((5, 8, HOUR), this_update=AS_OF - 2 * HOUR, is_delta=True), SAYS_HOLD),
    ],
)
def test_a_newer_crl_of_the_same_part_tells_whether_a_hold_has_ended(other: RevocationList, hold: int) -> None:
    assert said(listing(HELD), other)[0] == [hold]
