from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pregen.config import load_config
from tests.incident.acts import Choices, issue, timeline, write_configurations


@pytest.mark.parametrize(
    ("now", "zone", "hours"),
    [
        (datetime(2026, 1, 8, 18, tzinfo=UTC), "America/Denver", 7),
        (datetime(2026, 7, 8, 18, tzinfo=UTC), "America/Denver", 6),
        (datetime(2026, 3, 8, 18, tzinfo=UTC), "America/Phoenix", 7),  # nine hours after the clocks were changed
        (datetime(2026, 11, 1, 18, tzinfo=UTC), "America/Phoenix", 7),
        (datetime(2026, 11, 2, 18, tzinfo=UTC), "America/Denver", 7),
    ],
    ids=str,
)
def test_the_silence_is_as_long_as_the_zone_is_behind_utc(now: datetime, zone: str, hours: int) -> None:
    times = timeline(now)
    assert (times.zone, times.now - times.deployed, times.offset_s) == (zone, hours * 3_600, -hours * 3_600)


def test_issuance_is_as_many_as_asked_for_in_its_time_and_never_even() -> None:
    start, end = (int(datetime(2026, 1, day, tzinfo=UTC).timestamp()) for day in (1, 11))
    issued = issue(np.random.default_rng(1), 4_000, start, end, "America/Denver")

    assert len(issued) == len(set(issued.serials)) == 4_000
    assert all("4" <= serial[0] <= "7" and len(serial) == 32 for serial in issued.serials)  # positive, full length
    assert start <= issued.not_before[0]
    assert issued.not_before[-1] == end - 1
    gaps = np.diff(issued.not_before)
    assert gaps.min() >= 0
    assert 0.7 * gaps.mean() < gaps.std() < 2 * gaps.mean()  # of evenly spread ones it would be next to 0
    by_hour = np.bincount((issued.not_before - start) // 3_600 % 24, minlength=24)
    assert by_hour[17:24].mean() > 1.2 * by_hour[4:12].mean(), "the days of Denver are busier than its nights"
    assert (issued.not_after - issued.not_before == 90 * 86_400).all()


def test_certificates_of_a_time_are_those_after_its_begin_until_its_end() -> None:
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    issued = issue(np.random.default_rng(2), 500, start, start + 3_600, "America/Denver")
    parts = [issued.during(at, at + 600) for at in range(start - 1, start + 3_600, 600)]
    assert [serial for part in parts for serial in part.serials] == list(issued.serials)
    assert all((np.diff(part.not_before) >= 0).all() for part in parts)


def test_the_configurations_differ_in_their_snapshots_alone(tmp_path: Path) -> None:
    write_configurations(tmp_path, "America/Denver", Choices(workers=1, cert_ids="sha1"))
    configs = {path.stem: load_config(path) for path in sorted(tmp_path.iterdir())}
    assert list(configs) == ["before", "declared", "mislabelled", "synced", "unproved"]
    for config in configs.values():
        assert config.issuer == configs["before"].issuer
        assert (config.run.workers, config.issuer[0].cert_ids) == (1, "sha1")
        assert config.validity.profile == "strict"
        assert config.validity.lifetime_span == timedelta(days=4)
    declared, unproved = configs["declared"].snapshot, configs["unproved"].snapshot
    assert declared.columns == unproved.columns
    assert declared.path == unproved.path
    assert [bool(config.snapshot.anchor) for config in configs.values()] == [False, True, True, False, False]
