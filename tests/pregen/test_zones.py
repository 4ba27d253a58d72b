import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pregen.zones import utc_offset, zone, zone_names, zone_octets, zone_problem

SAYS_DENVER = """
from datetime import datetime
from zoneinfo import ZoneInfo
import numpy as np
from pregen.snapshot.times.zones import local_to_utc
from pregen.zones import utc_offset, zone
summer = datetime(2026, 7, 1, tzinfo=ZoneInfo("America/Denver")).utcoffset()
local = np.array([1_782_864_000])  # 2026-07-01
print(int(summer.total_seconds()), utc_offset("America/Denver", 1_782_864_000),
      int(local_to_utc(local, "America/Denver").seconds[0] - local[0]),
      int(datetime(2026, 7, 1, tzinfo=zone("America/Denver")).utcoffset().total_seconds()))
"""


def test_older_names_of_zones_are_known_and_mean_the_same() -> None:
    assert {"America/Denver", "US/Mountain", "Asia/Calcutta", "Asia/Kolkata", "UTC", "Etc/GMT+7"} <= set(zone_names())
    assert len(zone_names()) == len(set(zone_names())) > 400
    for moment in (0, 1_782_864_000):
        assert utc_offset("US/Mountain", moment) == utc_offset("America/Denver", moment)


def test_every_named_zone_can_be_read() -> None:
    for name in zone_names():
        assert zone_octets(name).startswith(b"TZif")
        assert str(zone(name)) == name


@pytest.mark.parametrize(
    ("name", "at", "hours"),
    [
        ("America/Denver", datetime(2026, 7, 1, tzinfo=UTC), -6),
        ("America/Denver", datetime(2026, 12, 1, tzinfo=UTC), -7),
        ("Etc/GMT+7", datetime(2026, 7, 1, tzinfo=UTC), -7),  # POSIX counts westwards
        ("Asia/Kathmandu", datetime(2026, 7, 1, tzinfo=UTC), 5.75),
        ("America/Denver", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), -7),
        ("Pacific/Kiritimati", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 14),
    ],
)
def test_the_offset_is_that_of_the_instant(name: str, at: datetime, hours: float) -> None:
    moment = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)

    assert utc_offset(name, moment) == hours * 3_600


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("America/Denvr", "did you mean 'America/Denver'?"),
        ("america/denver", "did you mean 'America/Denver'?"),
        ("America/New York", "did you mean 'America/New_York'?"),
        ("Europe/Zuerich", "'Europe/Zurich'"),
        ("utc", "did you mean 'UTC'?"),
        ("?", "write a name such as America/Denver, or UTC"),
        ("", "write a name such as"),
        ("../zones", "is no time zone"),
        ("/etc/passwd", "is no time zone"),
        ("America", "is no time zone"),
    ],
)
def test_a_name_that_is_no_zone_is_refused_with_the_nearest_one(wrong: str, nearest: str) -> None:
    problem = zone_problem(wrong)

    assert problem is not None
    assert problem.startswith(f"{wrong!r} is no time zone of the tzdata package")
    assert nearest in problem
    for asked in (zone, zone_octets):
        with pytest.raises(ValueError, match="is no time zone of the tzdata package"):
            asked(wrong)


def test_a_zone_has_no_problem() -> None:
    assert zone_problem("Antarctica/Troll") is None


@pytest.mark.parametrize("tz", ["Pacific/Apia", "right/UTC"])
def test_neither_files_nor_settings_of_the_machine_change_a_zone(tmp_path: Path, tz: str) -> None:
    (tmp_path / "America").mkdir()
    (tmp_path / "America" / "Denver").write_bytes(zone_octets("Asia/Tokyo"))
    environment = os.environ | {"PYTHONTZPATH": str(tmp_path), "TZ": tz}

    said = subprocess.run(
        [sys.executable, "-c", SAYS_DENVER], env=environment, capture_output=True, text=True, check=True
    )

    # the first figure proves that the machine's files are wrong, the others that nobody cares
    assert said.stdout.split() == [str(9 * 3_600), str(-6 * 3_600), str(6 * 3_600), str(-6 * 3_600)]
