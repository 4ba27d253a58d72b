"""The incident at other dates than today's: in summer, and in the weeks after the clocks were changed."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pregen import clock
from pregen.demo.authority import make_authority
from tests.incident import acts
from tests.incident.asking import answers
from tests.incident.databases import open_databases
from tests.pregen.cli.ca import Program


@pytest.mark.parametrize(
    ("now", "offset"),
    [
        (datetime(2026, 7, 15, 18, tzinfo=UTC), "-06:00"),
        pytest.param(datetime(2026, 1, 20, 3, tzinfo=UTC), "-07:00", marks=pytest.mark.slow),
        pytest.param(datetime(2026, 11, 8, 12, tzinfo=UTC), "-07:00", marks=pytest.mark.slow),
        pytest.param(datetime(2027, 3, 20, 12, tzinfo=UTC), "-06:00", marks=pytest.mark.slow),
        pytest.param(datetime(2026, 11, 1, 11, tzinfo=UTC), "-07:00", marks=pytest.mark.slow),
    ],
    ids=["summer", "winter", "week-after-autumn", "week-after-spring", "hours-after-autumn"],
)
def test_the_incident_is_refused_and_repaired_whenever_it_happens(
    pregen: Program, tmp_path: Path, now: datetime, offset: str
) -> None:
    times, random = acts.timeline(now), np.random.default_rng(7)
    key = make_authority(tmp_path, "p256", now)
    acts.write_configurations(tmp_path, times.zone, acts.Choices(profile="lab", workers=1))
    with open_databases(tmp_path, times.zone) as databases:
        acts.act_until_deployment(databases, times, 5_000, random)
        databases.export_responder(tmp_path / "responder-before.parquet", times.deployed)
        silence = acts.act_since_deployment(databases, times, random)
        acts.write_exports(tmp_path, databases, times)
        acts.make_anchors(tmp_path, key, silence.issued, databases, now)
        api, responder = databases.serials()
    assert api - responder == set(silence.issued.serials)
    assert (len(silence.issued), silence.delivered, responder - api) == (6_450, 0, frozenset())

    at = ("--now", clock.text(now), "--json")
    assert pregen("run", tmp_path / "before.toml", *at).code == 0
    for name, code in (("synced", "time.lag-shift"), ("mislabelled", "time.anchor-mismatch")):
        ended = pregen("run", tmp_path / f"{name}.toml", *at)
        assert ended.code == 3
        findings = ended.error["findings"]
        assert isinstance(findings, list)
        (first, *_) = [one for one in findings if one["code"] == code]
        assert times.zone in first["zones"]
        assert f"a zone at {offset}" in first["message"]
    repaired = pregen("run", tmp_path / "declared.toml", *at)
    assert (repaired.code, repaired.document["commit"]) == (0, 2)
    some = silence.issued.serials[::50]
    counts = answers(tmp_path / "store", tmp_path / "issuer.pem", some, ("sha1",), times.now)
    assert counts == {"sha1": {"good": len(some)}}
