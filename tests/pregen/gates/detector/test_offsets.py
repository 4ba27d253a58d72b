from datetime import UTC, datetime

import numpy as np
import pytest

from pregen.gates.detector.offsets import (
    MAX_SHIFT_S,
    QUARTER_S,
    Sample,
    compare,
    nearest_possible,
    possible_shifts,
    zones_with,
)
from pregen.zones import utc_offset, zone_names
from tests.pregen.gates.detector.authorities import DAY, HOUR, columns, misread

JULY = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())
JANUARY = int(datetime(2026, 1, 10, tzinfo=UTC).timestamp())
UTC_COLUMN = columns()["not_before"]


def test_a_constant_difference_is_one_shift_and_names_the_offset_of_the_zone_that_was_meant() -> None:
    true = JULY + np.arange(100) * 60
    difference = compare(true - 6 * HOUR, true, UTC_COLUMN)

    assert difference.shift_s == -6 * HOUR
    assert (difference.compared, difference.aligned, difference.odd) == (100, 100, 0)
    assert {sample.offset_s for sample in difference.samples} == {-6 * HOUR}


def test_seconds_of_difference_are_none_and_minutes_are_odd() -> None:
    true = JULY + np.arange(3) * DAY
    difference = compare(true + np.array([20, 400, -3 * HOUR]), true, UTC_COLUMN)

    assert (difference.aligned, difference.odd) == (1, 1)
    assert difference.shift_s is None


def test_a_year_of_times_tells_a_zone_with_clock_changes_from_one_without() -> None:
    true = np.linspace(JULY - 360 * DAY, JULY, 500).astype(np.int64)
    difference = compare(misread(true, "America/Denver", "Etc/UTC"), true, UTC_COLUMN)
    zones = zones_with(difference.samples)

    assert difference.shift_s is None
    assert "America/Denver" in zones
    assert "America/Phoenix" not in zones
    assert "America/Chicago" not in zones


def test_the_declared_zone_counts_when_the_right_one_is_looked_for() -> None:
    true = np.array([JULY])
    declared = columns(not_before="Europe/Berlin")["not_before"]
    difference = compare(misread(true, "Asia/Kathmandu", "Europe/Berlin"), true, declared)

    assert difference.samples == (Sample(JULY, 20_700),)
    assert "Asia/Kathmandu" in zones_with(difference.samples)


@pytest.mark.parametrize("at", [JULY, JANUARY])
def test_all_zones_of_an_offset_are_named_configured_ones_first_then_canonical_ones(at: int) -> None:
    zones = zones_with([Sample(at, -7 * HOUR)], configured=("US/Mountain", "Europe/Paris", "US/Arizona"))
    right = {name for name in zone_names() if utc_offset(name, at) == -7 * HOUR}

    assert set(zones) == right
    assert len(zones) == len(right)
    first = [name for name in ("US/Mountain", "US/Arizona") if name in right]
    assert list(zones[: len(first)]) == first
    assert zones.index("America/Phoenix") < zones.index("Etc/GMT+7")


def test_without_a_zone_for_all_samples_those_of_the_commonest_offset_are_named() -> None:
    zones = zones_with([Sample(JULY, 0), Sample(JULY + DAY, 5 * HOUR), Sample(JULY + 2 * DAY, 5 * HOUR)])

    assert "Asia/Karachi" in zones
    assert "Etc/UTC" not in zones


def test_only_shifts_that_two_zones_can_make_are_possible() -> None:
    as_utc = possible_shifts(UTC_COLUMN, JULY)
    as_kathmandu = possible_shifts(columns(not_before="Asia/Kathmandu")["not_before"], JULY)

    assert {-7 * HOUR, 20_700, 14 * HOUR, -12 * HOUR} <= as_utc
    assert not {0, QUARTER_S, 15 * HOUR} & as_utc
    assert -20_700 in as_kathmandu  # UTC
    assert all(abs(shift) <= MAX_SHIFT_S for shift in as_utc | as_kathmandu)


def test_an_estimate_that_is_no_zones_offset_means_none() -> None:
    assert nearest_possible(2 * HOUR - 700, possible_shifts(UTC_COLUMN, JULY)) == 2 * HOUR
    assert nearest_possible(2_000, possible_shifts(UTC_COLUMN, JULY)) is None
    assert nearest_possible(-100, frozenset({100})) is None
