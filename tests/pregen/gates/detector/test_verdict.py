from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np

from pregen.errors import Finding
from pregen.gates import History
from pregen.gates.detector.anchor_files import Anchors
from pregen.gates.detector.anchors import identity
from pregen.gates.detector.observation import Observation, Watch
from pregen.gates.detector.recollection import remember
from pregen.gates.detector.sightings import sighted_serial
from pregen.gates.detector.verdict import Verdict, judge
from pregen.gates.history import revoked_witnesses, witness_share
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Register,
    anchors_of,
    case_of,
    columns,
    export,
    make_issuers,
    misread,
    observe,
    publish,
    watch_for,
    work,
)

AS_OF = int(datetime(2026, 7, 1, 9, 7, tzinfo=UTC).timestamp())
BEFORE = AS_OF - DAY
ISSUERS = make_issuers(1)


@cache
def register() -> Register:
    return work((Habits(per_day=1_000),), AS_OF - 60 * DAY, AS_OF, np.random.default_rng(11))


@cache
def history() -> History:
    return publish(export(register(), BEFORE), BEFORE, ISSUERS, None)


def read_as(meant: str, declared: str = "Etc/UTC", *names: str) -> Register:
    """The snapshot, with local times of one zone in the named columns (all by default) read as those of another."""
    rows = export(register(), AS_OF)
    wrong = {}
    for name in names or ("not_before", "not_after", "revoked_at"):
        times = getattr(rows, name)
        wrong[name] = np.where(times > 0, misread(np.maximum(times, AS_OF - 300 * DAY), meant, declared), 0)
    return Register(*(wrong.get(field, getattr(rows, field)) for field in rows.__dataclass_fields__))


def seen(rows: Register, anchors: Anchors) -> tuple[Observation, Watch]:
    watch = watch_for(rows, AS_OF, 1, np.append(anchors.keys, history().witnesses["key"]))
    return observe(rows, watch), watch


def judged(
    rows: Register,
    *,
    past: History | None = None,
    anchors: Anchors | None = None,
    is_public: bool = False,
    zones: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    return verdict_on(rows, past=past, anchors=anchors, is_public=is_public, zones=zones).findings


def verdict_on(
    rows: Register,
    *,
    past: History | None = None,
    anchors: Anchors | None = None,
    is_public: bool = False,
    zones: Mapping[str, str] | None = None,
) -> Verdict:
    anchors = anchors or Anchors()
    _, watch = seen(rows, anchors)
    return judge(case_of(rows, watch, past, zones=zones), anchors, is_public=is_public)


def test_a_right_snapshot_has_no_findings() -> None:
    assert judged(export(register(), AS_OF), past=history(), anchors=anchors_of(export(register(), AS_OF))) == ()


def test_the_zones_of_an_offset_are_listed_once_a_column_by_the_strongest_evidence() -> None:
    anchors = anchors_of(export(register(), AS_OF))
    findings = judged(read_as("America/Denver"), past=history(), anchors=anchors)
    with_zones = [finding for finding in findings if finding.zones]

    assert [finding.code for finding in with_zones] == ["time.anchor-mismatch"] * 3
    assert all("America/Denver" in finding.zones for finding in with_zones)
    others = [finding for finding in findings if not finding.zones]
    assert {finding.code for finding in others} == {"time.history-mismatch", "time.lag-shift"}
    assert all("the same offset as time.anchor-mismatch says" in finding.message for finding in others)


def test_a_column_of_local_time_says_how_to_declare_its_zone() -> None:
    (finding, *_) = judged(read_as("America/Denver", "Etc/UTC", "not_before"), past=history())

    assert "06:00 earlier than it happened" in finding.message
    assert "-06:00, not UTC" in finding.message
    assert 'declare not_before = { name = "NOT_BEFORE", zone = "..." }' in finding.message


def test_a_wrong_declaration_is_to_be_corrected_and_configured_zones_come_first() -> None:
    rows = read_as("Europe/Berlin", "America/Denver", "not_before")
    zones = {"not_before": "America/Denver", "revoked_at": "Africa/Lagos", "not_after": "CET"}
    findings = judged(rows, past=history(), zones=zones)
    (finding,) = (finding for finding in findings if finding.code == "time.history-mismatch")

    assert "not of America/Denver: correct not_before = { zone = ... }" in finding.message
    assert finding.zones[0] == "CET"
    assert "Europe/Berlin" in finding.zones


def test_order_blames_the_column_that_other_evidence_blames() -> None:
    findings = judged(read_as("Asia/Tokyo", "Etc/UTC", "not_before"), past=history())
    by_code = {finding.code: finding for finding in findings}

    assert {"time.history-mismatch", "time.ahead-of-as-of", "time.order"} <= set(by_code)
    assert by_code["time.order"].message.startswith("column 'NOT_BEFORE'")


def test_order_alone_names_the_offset_of_the_revocations() -> None:
    findings = judged(read_as("America/Denver", "Etc/UTC", "revoked_at"))
    (finding,) = (finding for finding in findings if finding.severity == "error")

    assert finding.code == "time.order"
    assert "America/Denver" in finding.zones


def test_latest_certificates_that_are_missing_are_a_lag_although_all_others_are_right() -> None:
    rows = export(register(), AS_OF)
    rows = rows.where(rows.issued_at < AS_OF - 7 * HOUR)
    (finding,) = judged(rows, past=history())

    assert (finding.code, finding.severity) == ("time.lag-shift", "error")
    assert "America/Los_Angeles" in finding.zones


def test_a_declared_zone_needs_an_anchor_once_under_a_public_profile() -> None:
    rows = read_as("America/Denver", "America/Denver")
    anchors = anchors_of(rows)
    zones = dict.fromkeys(("not_before", "not_after", "revoked_at"), "America/Denver")
    proved = replace(history(), anchored=frozenset(map(identity, columns(**zones).values())))

    assert [finding.code for finding in judged(rows, past=history(), is_public=True, zones=zones)] == [
        "time.no-anchor"
    ] * 3
    assert judged(rows, past=history(), is_public=False, zones=zones) == ()
    assert judged(rows, past=history(), is_public=True, anchors=anchors, zones=zones) == ()
    assert judged(rows, past=proved, is_public=True, zones=zones) == ()
    changed = zones | {"not_after": "America/Boise"}
    (finding,) = judged(rows, past=proved, is_public=True, zones=changed)
    assert "'NOT_AFTER'" in finding.message
    assert "[[snapshot.anchor]]" in finding.message


def test_a_refuted_declaration_needs_no_second_finding() -> None:
    rows = read_as("Europe/Berlin", "America/Denver")
    zones = dict.fromkeys(("not_before", "not_after", "revoked_at"), "America/Denver")
    findings = judged(rows, anchors=anchors_of(export(register(), AS_OF)), is_public=True, zones=zones)

    assert "time.no-anchor" not in {finding.code for finding in findings}


def test_a_generation_remembers_lags_witnesses_and_proved_columns() -> None:
    rows = export(register(), AS_OF)
    anchors = anchors_of(rows)
    _, watch = seen(rows, anchors)
    zones = {"not_before": "Etc/UTC", "not_after": "Etc/UTC"}
    declared, before = columns(**zones), replace(history(), anchored=frozenset({"before"}))
    verdict = verdict_on(rows, past=before, anchors=anchors, zones=zones)
    kept = remember(verdict, case_of(rows, watch, before), [len(rows)])
    known, witnesses = kept.issuers[1], kept.witnesses

    assert known.newest == int(rows.not_before.max())
    assert known.lags[1:] == history().issuers[1].lags
    assert 0 <= known.lags[0] - (AS_OF - known.newest) < 600
    assert (kept.as_of, kept.certificates, known.certificates) == (AS_OF, len(rows), len(rows))
    assert kept.anchored == {"before", identity(declared["not_before"]), identity(declared["not_after"])}
    low, limit = rows.key & np.uint64(2**32 - 1), watch.witness_limit
    revoked = np.sort(low[(rows.revoked_at > 0)])[: revoked_witnesses(len(rows))]
    usual = low[low < limit]
    assert 0.8 < len(usual) / (witness_share(len(rows)) * len(rows)) < 1.2
    np.testing.assert_array_equal(np.sort(witnesses["key"] & np.uint64(2**32 - 1)), np.union1d(usual, revoked))
    assert np.all(witnesses["key"][1:] > witnesses["key"][:-1])


def test_the_newest_is_sighted_with_its_serial() -> None:
    rows = export(register(), AS_OF)
    observation, _ = seen(rows, Anchors())

    assert sighted_serial(observation.newest[0]) == rows.serial[np.argmax(rows.not_before)].tobytes()


def test_a_key_that_two_certificates_have_is_no_witness() -> None:
    rows = export(register(), AS_OF)
    twice = rows.where(np.argsort(rows.key & np.uint64(2**32 - 1)).argsort() < 3)  # the first three to be witnesses
    twin = replace(twice.where(np.arange(3) == 1), serial=np.full((1, 16), 9, np.uint8))
    both = Register(*(np.concatenate([getattr(twice, name), getattr(twin, name)]) for name in Register.__match_args__))
    watch = replace(watch_for(both, AS_OF, 1), witness_share=1.0)
    kept = remember(Verdict(), case_of(both, watch), [4])

    assert set(kept.witnesses["key"].tolist()) == set(both.key.tolist()) - {int(twin.key[0])}


def test_an_accepted_lag_is_counted_apart() -> None:
    rows = export(register(), AS_OF)
    rows = rows.where(rows.issued_at < AS_OF - 7 * HOUR)
    _, watch = seen(rows, Anchors())
    verdict = verdict_on(rows, past=history())
    kept = remember(verdict, case_of(rows, watch, history()), [len(rows)])

    assert verdict.odd == {0}
    assert (kept.issuers[1].accepted, kept.issuers[1].lags) == (1, history().issuers[1].lags)
