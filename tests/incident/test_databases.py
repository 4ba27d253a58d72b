from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.zones import zone
from tests.incident.databases import Databases, Issued, clock_texts, open_databases, to_local, to_utc

DENVER = "America/Denver"
HOUR = 3_600
SUMMER, WINTER = (int(datetime(2026, month, 8, 18, tzinfo=UTC).timestamp()) for month in (7, 1))


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[Databases]:
    with open_databases(tmp_path, DENVER) as opened:
        yield opened


def certificates(*not_before: int, first: int = 0) -> Issued:
    """Return certificates with numbered serials that are valid for 90 days."""
    starts = np.array(not_before, np.int64)
    return Issued(tuple(f"{0x40 + first + at:x}" for at in range(len(starts))), starts, starts + 90 * 86_400)


def in_responder(databases: Databases) -> dict[str, tuple[str, str | None]]:
    rows = databases.responder.execute("SELECT serial, not_before, revoked_at FROM certificates")
    return {serial: (not_before, revoked_at) for serial, not_before, revoked_at in rows}


@pytest.mark.parametrize("now", [SUMMER, WINTER])
def test_the_right_sync_copies_what_has_changed_and_says_it_in_utc(databases: Databases, now: int) -> None:
    databases.issue(certificates(now - 3 * HOUR, now - 2 * HOUR))
    assert databases.sync(now - HOUR, is_right=True) == 2
    assert databases.sync(now - HOUR + 1, is_right=True) == 0
    databases.issue(certificates(now, first=2))
    databases.revoke(["40"], np.array([now]), [1])

    assert databases.sync(now, is_right=True) == 2
    texts = clock_texts(np.array([now - 3 * HOUR, now - 2 * HOUR, now]))
    assert in_responder(databases) == {"40": (texts[0], texts[2]), "41": (texts[1], None), "42": (texts[2], None)}
    api, responder = databases.serials()
    assert api == responder == {"40", "41", "42"}
    serials, revoked_at, reasons = databases.revoked()
    assert (serials, revoked_at.tolist(), reasons) == (["40"], [now], [1])


@pytest.mark.parametrize(("now", "hours"), [(SUMMER, 6), (WINTER, 7)])
def test_the_wrong_sync_loses_as_many_hours_as_the_zone_is_behind_utc(
    databases: Databases, now: int, hours: int
) -> None:
    databases.sync(now, is_right=True)
    databases.issue(certificates(now + 1, now + hours * HOUR, now + hours * HOUR + 1))
    databases.revoke(["40"], np.array([now + 2]), [1])

    assert databases.sync(now + 10 * HOUR, is_right=False) == 1
    assert set(in_responder(databases)) == {"42"}


def test_the_wrong_sync_never_makes_up_for_what_it_has_lost(databases: Databases) -> None:
    databases.sync(WINTER, is_right=True)
    delivered = 0
    for number, at in enumerate(range(WINTER + 600, WINTER + 12 * HOUR, 600)):
        databases.issue(certificates(at - 60, first=number))
        delivered += databases.sync(at, is_right=False)
    assert delivered == 0
    assert not in_responder(databases)


def test_databases_that_are_there_are_opened_and_not_made_anew(tmp_path: Path) -> None:
    with open_databases(tmp_path, DENVER) as first:
        first.issue(certificates(WINTER))
    with open_databases(tmp_path, DENVER) as again:
        assert again.serials() == (frozenset({"40"}), frozenset())


def test_exports_say_utc_or_nothing_about_their_times(databases: Databases, tmp_path: Path) -> None:
    databases.issue(certificates(WINTER, WINTER + 1))
    databases.revoke(["41"], np.array([WINTER + 5]), [4])
    databases.sync(WINTER + 6, is_right=True)
    databases.export_responder(tmp_path / "responder.parquet", WINTER + 7)
    databases.export_api(tmp_path / "wrong.parquet", WINTER + 7, says_utc=True)
    databases.export_api(tmp_path / "local.parquet", WINTER + 7, says_utc=False)

    responder, wrong, local = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("responder", "wrong", "local"))
    for table in (responder, wrong, local):
        assert table["serial"].to_pylist() == ["40", "41"]
        assert table["reason"].to_pylist() == [None, 4]
        assert table.schema.metadata[b"pregen.as_of"] == b"2026-01-08T18:00:07Z"
    assert (
        responder.schema.field("not_before").type == wrong.schema.field("issued_at").type == pa.timestamp("ms", "UTC")
    )
    right = [datetime.fromtimestamp(WINTER + second, UTC) for second in (0, 1)]
    assert responder["not_before"].to_pylist() == right
    assert responder["revoked_at"].to_pylist() == [None, datetime.fromtimestamp(WINTER + 5, UTC)]
    assert wrong["issued_at"].to_pylist() == [one.replace(hour=11) for one in right]
    assert local["issued_at"].to_pylist() == ["2026-01-08 11:00:00", "2026-01-08 11:00:01"]
    assert local["revoked_at"].to_pylist() == [None, "2026-01-08 11:00:05"]


def test_local_times_are_those_of_zoneinfo_and_come_back() -> None:
    random = np.random.default_rng(5)
    instants = random.integers(SUMMER, SUMMER + 10 * 365 * 86_400, 2_000)
    rules = zone(DENVER)
    assert isinstance(rules, ZoneInfo)
    meant = [datetime.fromtimestamp(at, UTC).astimezone(rules) for at in instants.tolist()]

    local = to_local(instants, DENVER)

    assert local.tolist() == [int(one.replace(tzinfo=UTC).timestamp()) for one in meant]
    expected = [at - HOUR * one.fold for at, one in zip(instants.tolist(), meant, strict=True)]
    assert to_utc(local, DENVER).tolist() == expected


def test_of_an_hour_that_is_shown_twice_the_first_is_taken() -> None:
    first = int(datetime(2026, 11, 1, 7, 30, tzinfo=UTC).timestamp())
    local = to_local(np.array([first, first + HOUR]), DENVER)
    assert local[0] == local[1]
    assert to_utc(local, DENVER).tolist() == [first, first]
