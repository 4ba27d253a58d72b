import time
from datetime import UTC, datetime

import pytest

from pregen import clock

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "America/Denver", "Australia/Lord_Howe", "EST5EDT,M3.2.0,M11.1.0", "<+14>-14"])
def test_the_zone_of_the_process_does_not_matter(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        assert clock.instant(1_795_478_400) == MIDNIGHT
        assert clock.seconds(clock.parse_instant("2026-11-24T00:00:00Z")) == 1_795_478_400
        assert abs(clock.seconds(clock.now()) - time.time()) < 2
    time.tzset()


@pytest.mark.usefixtures("leap_seconds")
def test_instants_are_those_of_posix_also_where_the_c_library_counts_leap_seconds() -> None:
    assert clock.instant(1_795_478_400) == MIDNIGHT
    assert abs(clock.seconds(clock.now()) - time.time()) < 2
