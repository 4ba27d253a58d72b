"""Each gate before the first signature, at its limits."""

from dataclasses import replace

import numpy as np
import pytest

from pregen.clock import DAY_S
from pregen.config import GatesConfig, Limit
from pregen.errors import Finding
from pregen.gates import GATES, GateResult, History
from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.gates.evidence import Evidence
from pregen.gates.gates import judge_all
from pregen.gates.history import WITNESS
from storage.history import IssuerHistory

HISTORY = History(
    as_of=1_000_000,
    certificates=100_000,
    issuers={1: IssuerHistory(60_000, None), 2: IssuerHistory(40_000, None), 3: IssuerHistory(0, None)},
    witnesses=np.empty(0, WITNESS),
    anchored=frozenset(),
)
EVIDENCE = Evidence(
    as_of=1_003_600,
    started=1_003_700,
    is_public=True,
    rows_in=100_000,
    certificates={1: 60_000, 2: 40_000, 3: 0},
    issuers={1: "r1", 2: "r2", 3: "r3"},
    history=HISTORY,
    comparison=Comparison(before=100_000, after=100_000),
)

ERROR = Finding("row.serial.null", "error", "is null", 3)


def say(gate: str, evidence: Evidence, config: GatesConfig | None = None) -> GateResult:
    return next(result for result in judge_all(evidence, config or GatesConfig()) if result.gate == gate)


def seen(**counts: int) -> Evidence:
    keys = dict.fromkeys(counts, (2748,))
    return replace(EVIDENCE, comparison=replace(EVIDENCE.comparison, **counts, keys=keys))  # type: ignore[arg-type]


def test_all_gates_but_the_last_two_are_asked_in_their_order_and_pass() -> None:
    results = judge_all(EVIDENCE, GatesConfig())
    assert tuple(result.gate for result in results) == GATES[:-2]
    assert {result.outcome for result in results} == {"passed"}


def test_in_a_first_generation_gates_that_compare_are_skipped_and_say_why() -> None:
    first = replace(EVIDENCE, history=None, comparison=NOT_COMPARED, why_absent="nothing is published yet")
    results = judge_all(first, GatesConfig())
    skipped = [result for result in results if result.outcome == "skipped"]
    assert [result.gate for result in skipped] == ["shrink", "growth", "unrevoke", "mass-revocation"]
    assert {result.figures["why"] for result in skipped} == {"nothing is published yet"}


def test_without_history_what_packs_say_is_compared_and_nobody_is_missed_who_may_have_expired() -> None:
    old = replace(EVIDENCE, history=None, why_absent="commit 1 has no history")
    seen = Comparison(before=1_000, after=500, unended=500, unrevoked=1, keys={"unended": (7,), "unrevoked": (9,)})

    results = {one.gate: one for one in judge_all(replace(old, comparison=seen), GatesConfig())}

    assert results["growth"].outcome == "skipped"
    assert (results["shrink"].outcome, results["unrevoke"].outcome) == ("warned", "failed")
    assert [one.code for one in results["shrink"].findings] == ["shrink.unknown-expiry"]
    assert results["shrink"].figures["why"] == "commit 1 has no history"
    assert (results["shrink"].figures["before"], results["shrink"].figures["unended"]) == (1_000, 500)
    assert say("mass-revocation", replace(old, comparison=replace(seen, revoked=101))).outcome == "warned"


def test_what_says_revoked_elsewhere_fails_in_a_first_generation_too() -> None:
    said = Finding("revocation.in-columns", "error", "they say so", 600)
    first = replace(EVIDENCE, history=None, revoked_elsewhere=(said,))
    result = say("revoked-elsewhere", first)
    assert (result.outcome, result.findings, result.figures) == (
        "failed",
        (said,),
        {"contradicted": 600, "entries_of_crls": 0},
    )


@pytest.mark.parametrize(
    ("vanished", "limit", "outcome"),
    [
        (100, Limit(share=0.001, count=100), "warned"),
        (101, Limit(share=0.001, count=100), "failed"),
        (101, Limit(share=0.5, count=100), "failed"),
        (101, Limit(share=0.001, count=1_000), "failed"),
        (101, Limit(share=0.01, count=101), "warned"),
    ],
)
def test_a_shrinkage_beyond_share_or_count_is_refused(vanished: int, limit: Limit, outcome: str) -> None:
    result = say("shrink", seen(vanished=vanished), GatesConfig(shrink=limit))
    assert result.outcome == outcome
    assert result.figures["vanished"] == vanished
    (finding,) = result.findings
    assert (finding.code, finding.count, finding.examples) == ("shrink.vanished", vanished, ("key 0000000000000abc",))


@pytest.mark.parametrize(
    ("answered", "lost", "text"),
    [
        (0, 0, "their answers would become unauthorized"),
        (2, 0, "their answers stay, in an overlay"),
        (1, 0, "the answers of 1 of them stay, in an overlay, and the other 1 would become unauthorized"),
        (1, 1, "their answers stay, in an overlay"),
    ],
)
def test_it_is_said_which_answers_stay_of_what_vanished(answered: int, lost: int, text: str) -> None:
    gone = replace(seen(vanished=2), comparison=Comparison(vanished=2, answered=answered, lost=lost))
    (finding,) = say("shrink", gone, GatesConfig(unrevoke=1)).findings
    assert text in finding.message


def test_what_vanished_and_has_no_expiry_is_refused_with_what_is_missing() -> None:
    (finding,) = say("shrink", seen(vanished=101, vanished_undated=100)).findings
    assert finding.code == "shrink.vanished"
    assert "their expiry is not known: export not_after" in finding.message
    assert "of 100 of them" in finding.message
    (finding,) = say("shrink", seen(vanished=101)).findings
    assert "without having expired" in finding.message
    assert "export not_after" not in finding.message


def test_of_a_small_generation_two_certificates_are_more_than_the_share() -> None:
    small = replace(seen(vanished=2), history=replace(HISTORY, certificates=1_000))
    assert say("shrink", small).outcome == "failed"
    assert say("shrink", replace(small, comparison=Comparison(vanished=1))).outcome == "warned"


@pytest.mark.parametrize("history", [HISTORY, None])
def test_a_damaged_history_is_never_passed_over(history: History | None) -> None:
    damaged = replace(EVIDENCE, history=history, damage=("history/1: is missing",), why_absent="cannot be read")
    result = say("shrink", damaged)
    assert result.outcome == "failed"
    (finding,) = result.findings
    assert (finding.code, finding.examples) == ("history.damaged", ("history/1: is missing",))
    assert "--accept history.damaged" in finding.message


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (100_000, 200_000, "passed"),
        (100_000, 200_001, "failed"),
        (1_000, 11_000, "passed"),  # a share of ten, but no more than the count
        (1_000, 11_001, "failed"),
        (0, 10_000, "passed"),
        (0, 10_001, "failed"),
    ],
)
def test_a_growth_beyond_share_and_count_is_refused(before: int, after: int, outcome: str) -> None:
    grown = replace(EVIDENCE, history=replace(HISTORY, certificates=before), certificates={1: after})
    assert say("growth", grown).outcome == outcome


def test_an_issuer_that_is_gone_is_refused_where_a_damaged_history_hides_what_vanished() -> None:
    gone = replace(EVIDENCE, certificates={1: 60_000, 2: 0, 3: 0}, excused=9)

    assert say("issuer-missing", gone).outcome == "passed", "all of it has expired, or is excused"
    assert say("issuer-missing", replace(gone, damage=("history/1: is missing",))).outcome == "failed"


def test_errors_that_are_not_about_single_rows_fail_whatever_number_of_rows_is_allowed() -> None:
    stranger = Finding("crl.none-listed", "error", "no entry", 12)
    allowed = GatesConfig(rows_invalid=100)

    assert say("rows-invalid", replace(EVIDENCE, rows=(ERROR,), invalid=3), allowed).outcome == "warned"
    assert say("rows-invalid", replace(EVIDENCE, rows=(stranger,)), allowed).outcome == "failed"
    assert say("rows-invalid", replace(EVIDENCE, rows=(ERROR, stranger), invalid=3), allowed).outcome == "failed"


def test_an_issuer_that_had_certificates_and_has_none_is_refused() -> None:
    gone = replace(seen(vanished=40_000), certificates={1: 60_000, 2: 0, 3: 0})
    result = say("issuer-missing", gone)
    assert (result.outcome, result.findings[0].examples) == ("failed", ("r2: had 40,000",))
    assert say("issuer-missing", gone, GatesConfig(issuer_missing=1)).outcome == "warned"


@pytest.mark.parametrize("history", [None, replace(HISTORY, issuers={1: IssuerHistory(100_000, None)})])
def test_an_issuer_without_a_row_is_refused_where_no_generation_has_it_yet(history: History | None) -> None:
    result = say("issuer-missing", replace(EVIDENCE, history=history, empty=(3,)))

    assert (result.outcome, result.figures["empty"]) == ("failed", 1)
    (finding,) = result.findings
    assert (finding.code, finding.severity, finding.examples) == ("issuer.empty", "error", ("r3",))
    assert "empty = true" in finding.message


def test_an_issuer_that_never_had_a_row_is_a_warning_and_one_whose_have_expired_is_none() -> None:
    assert say("issuer-missing", replace(EVIDENCE, empty=(3,))).outcome == "warned"
    retired = replace(HISTORY, issuers={**HISTORY.issuers, 3: IssuerHistory(0, 900_000)})
    assert say("issuer-missing", replace(EVIDENCE, history=retired, empty=(3,))).outcome == "passed"


def test_an_issuer_whose_certificates_have_all_expired_is_not_refused() -> None:
    gone = replace(seen(expired=40_000), certificates={1: 60_000, 2: 0, 3: 0})
    assert say("issuer-missing", gone).outcome == "warned"


def test_what_bad_rows_explain_has_not_vanished_beside_them() -> None:
    lost = replace(seen(vanished=200), certificates={1: 60_000, 2: 0, 3: 0})
    assert (say("shrink", lost).outcome, say("issuer-missing", lost).outcome) == ("failed", "failed")
    refused = replace(lost, excused=200)
    assert (say("shrink", refused).outcome, say("issuer-missing", refused).outcome) == ("passed", "passed")
    assert say("shrink", replace(lost, excused=99)).outcome == "failed", "101 are more than bad rows explain"


def test_an_issuer_that_was_dropped_is_not_missing() -> None:
    dropped = replace(seen(dropped=40_000, vanished=1), certificates={1: 60_000}, issuers={1: "r1"})
    assert say("issuer-missing", dropped).outcome == "passed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("unrevoked", "revocation.undone"),
        ("held", "revocation.weakened"),
        ("lost", "revocation.lost"),
        ("shortened", "revocation.shortened"),
        ("dated", "revocation.shortened"),
    ],
)
def test_a_revocation_that_was_undone_weakened_or_lost_is_refused(change: str, code: str) -> None:
    refused = say("unrevoke", seen(**{change: 1}))
    assert (refused.outcome, [finding.code for finding in refused.findings]) == ("failed", [code])
    assert say("unrevoke", seen(**{change: 1}), GatesConfig(unrevoke=1_000)).outcome == (
        "warned" if change == "lost" else "failed"
    ), "what is lost stays revoked in an overlay, and nothing covers the rest"


@pytest.mark.parametrize(("lost", "outcome"), [(20, "warned"), (21, "failed")])
def test_of_few_revocations_that_vanished_it_is_known_which_they_are(lost: int, outcome: str) -> None:
    assert say("unrevoke", seen(lost=lost), GatesConfig(unrevoke=1_000)).outcome == outcome
    assert say("unrevoke", seen(lost=lost), GatesConfig(unrevoke=lost - 1)).outcome == "failed"


def test_an_expiry_that_is_exported_for_the_first_time_moves_nothing() -> None:
    assert say("unrevoke", seen(before=9, undated=8, dated=1)).outcome == "failed"
    assert say("unrevoke", seen(before=9, undated=9, dated=1)).outcome == "passed"


@pytest.mark.parametrize(("change", "code"), [("unknown", "shrink.unknown"), ("moved", "shrink.expiry")])
def test_what_becomes_unknown_or_expires_earlier_is_refused_like_what_vanishes(change: str, code: str) -> None:
    refused = say("shrink", seen(**{change: 101}))
    assert (refused.outcome, [finding.code for finding in refused.findings]) == ("failed", [code])
    assert say("shrink", seen(**{change: 1})).outcome == "warned"
    assert say("shrink", seen()).outcome == "passed"


def test_many_unknown_ones_that_become_good_are_worth_a_warning() -> None:
    told = say("shrink", seen(known=101))
    assert (told.outcome, [finding.code for finding in told.findings]) == ("warned", ["shrink.known"])
    assert say("shrink", seen(known=100)).outcome == "passed"


@pytest.mark.parametrize(
    ("released", "on_hold", "outcome"),
    [(11, 21, "failed"), (11, 22, "passed"), (10, 10, "passed"), (600, 900, "failed")],
)
def test_holds_that_end_all_at_once_are_refused(released: int, on_hold: int, outcome: str) -> None:
    told = say("unrevoke", seen(released=released, on_hold=on_hold))
    assert told.outcome == outcome
    assert [finding.code for finding in told.findings] == (["revocation.released"] if outcome == "failed" else [])
    assert say("unrevoke", seen(released=released, on_hold=on_hold), GatesConfig(unrevoke=released)).outcome == "passed"


def test_behind_a_damaged_history_nothing_is_said_to_have_passed() -> None:
    damaged = replace(seen(), damage=("history/1: is damaged",))
    assert say("unrevoke", damaged).outcome == say("mass-revocation", damaged).outcome == "skipped"
    wrong = replace(seen(unrevoked=1, revoked=1_001), damage=("history/1: is damaged",))
    assert (say("unrevoke", wrong).outcome, say("mass-revocation", wrong).outcome) == ("failed", "warned")


@pytest.mark.parametrize(("revoked", "outcome"), [(1_000, "passed"), (1_001, "warned")])
def test_a_mass_revocation_is_worth_a_warning(revoked: int, outcome: str) -> None:
    assert say("mass-revocation", seen(revoked=revoked)).outcome == outcome


@pytest.mark.parametrize(
    ("age_s", "is_public", "configured", "outcome"),
    [
        (DAY_S, True, None, "passed"),
        (DAY_S + 1, True, None, "failed"),
        (100 * DAY_S, False, None, "passed"),
        (3_601, False, "1h", "failed"),
        (3_600, True, "1h", "passed"),
        (2 * DAY_S, True, "2d", "passed"),
        (-60, True, "0s", "passed"),
    ],
)
def test_a_stale_snapshot_is_refused(age_s: int, is_public: bool, configured: str | None, outcome: str) -> None:
    old = replace(EVIDENCE, started=EVIDENCE.as_of + age_s, is_public=is_public)
    assert say("stale-snapshot", old, GatesConfig(stale_snapshot=configured)).outcome == outcome


@pytest.mark.parametrize(
    ("repeated", "rows_in", "outcome"), [(101, 10_000, "failed"), (100, 10_000, "passed"), (101, 10_100, "passed")]
)
def test_rows_that_repeat_others_are_refused_beyond_share_and_count(repeated: int, rows_in: int, outcome: str) -> None:
    result = say("duplicate", replace(EVIDENCE, repeated=repeated, rows_in=rows_in, repetitions=("row 2 repeats 1",)))
    assert result.outcome == outcome
    shown = [(finding.code, finding.count, finding.examples) for finding in result.findings]
    assert shown == ([("row.repeated", repeated, ("row 2 repeats 1",))] if outcome == "failed" else [])


def test_contradictions_are_refused_however_few() -> None:
    conflict = Finding("row.conflict", "error", "rows differ", 1)
    result = say("duplicate", replace(EVIDENCE, conflicts=(conflict,)))
    assert (result.outcome, result.findings) == ("failed", (conflict,))


def test_bad_rows_are_refused_beyond_what_is_allowed() -> None:
    bad = replace(EVIDENCE, invalid=3, rows=(ERROR,))
    assert say("rows-invalid", bad).findings == (ERROR,)
    allowed = say("rows-invalid", bad, GatesConfig(rows_invalid=3))
    assert (allowed.outcome, allowed.findings[0].severity) == ("warned", "warning")
    assert "left out" in allowed.findings[0].message
    assert say("rows-invalid", bad, GatesConfig(rows_invalid=2)).outcome == "failed"


def test_what_the_times_say_is_the_gate_zone() -> None:
    wrong = Finding("time.lag-shift", "error", "hours behind")
    assert say("zone", replace(EVIDENCE, zone=(wrong,))).findings == (wrong,)
