"""Publishing in spite of a gate: what the command line may say, and what it changes."""

import os
import pwd

import pytest

from pregen.errors import Finding, Severity, UsageError
from pregen.gates import Acceptance, GateResult
from pregen.gates.acceptance import decide, is_refused, read_acceptances, read_reasons
from pregen.gates.author import system_user

A, B = Finding("time.no-anchor", "error", "nothing proves it", 2), Finding("time.order", "error", "too early")
ZONE = GateResult(gate="zone", outcome="failed", findings=(A, B))


def accept(*gates: str, reason: str = "CHG-1") -> tuple[Acceptance, ...]:
    return read_acceptances(gates, (reason,), "alice")


def test_one_reason_is_for_all_and_several_are_one_each() -> None:
    assert read_acceptances(("zone", "shrink"), (" why ",), "u") == (
        Acceptance("zone", "why", "u"),
        Acceptance("shrink", "why", "u"),
    )
    each = read_acceptances(("zone", "shrink"), ("one", "two"), "u")
    assert [one.reason for one in each] == ["one", "two"]
    assert read_acceptances((), ()) == ()


@pytest.mark.parametrize(
    ("gates", "issuers", "reasons", "accepted", "dropped"),
    [
        ((), ("r1",), (), [], []),
        ((), ("r1", "r2"), ("a",), [], ["a", "a"]),
        ((), ("r1", "r2"), ("a", "b"), [], ["a", "b"]),
        (("zone",), ("r1",), ("a",), ["a"], ["a"]),
        (("zone", "shrink"), ("r1",), ("a", "b"), ["a", "b"], []),
        (("zone", "shrink"), ("r1",), ("a", "b", "c"), ["a", "b"], ["c"]),
    ],
)
def test_reasons_are_those_of_acceptances_first_and_then_of_dropped_issuers(
    gates: tuple[str, ...], issuers: tuple[str, ...], reasons: tuple[str, ...], accepted: list[str], dropped: list[str]
) -> None:
    accept, why = read_reasons(gates, issuers, reasons, "u")
    assert [one.reason for one in accept] == accepted
    assert [one.reason for one in why] == dropped
    assert [one.gate for one in why] == [f"drop-issuer {name}" for name in issuers][: len(dropped)]


@pytest.mark.parametrize(
    ("gates", "reasons"), [((), ("a", "b", "c")), ((), (" ",)), ((), ("x" * 1_001,)), (("zone",), ("a", "b", "c", "d"))]
)
def test_reasons_of_dropped_issuers_are_none_one_or_one_each(gates: tuple[str, ...], reasons: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--reason"):
        read_reasons(gates, ("r1", "r2"), reasons, "u")


@pytest.mark.parametrize(
    ("gates", "reasons", "match"),
    [
        (("shrnk",), ("why",), r"no such gate; there are: zone, shrink, .*time\.no-anchor"),
        (("",), ("why",), "no such gate"),
        (("coverage",), ("why",), "cannot be accepted"),
        (("window",), ("why",), "cannot be accepted"),
        (("row.conflict",), ("why",), "cannot be accepted"),
        (("zone",), (), '^--accept needs --reason "...": say why it may be published'),
        (("zone", "shrink"), (), "^--accept needs --reason"),
        (("zone", "shrink", "growth"), ("a", "b"), "give one reason"),
        (("zone",), ("a", "b"), "give one reason"),
        ((), ("why",), "belongs to --accept"),
        (("zone",), ("",), "is empty"),
        (("zone",), (" \n",), "is empty"),
        (("zone",), ("x" * 1_001,), "1,000 are kept"),
    ],
)
def test_a_wrong_acceptance_is_a_usage_error(gates: tuple[str, ...], reasons: tuple[str, ...], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        read_acceptances(gates, reasons, "u")


@pytest.mark.parametrize(
    ("gate", "code", "other"),
    [
        ("shrink", "history.damaged", "shrink.vanished"),
        ("rows-invalid", "crl.none-listed", "row.serial.null"),
        ("rows-invalid", "line.malformed", "row.serial.null"),
    ],
)
def test_what_hides_more_than_is_known_is_accepted_by_its_own_code_alone(gate: str, code: str, other: str) -> None:
    result = GateResult(
        gate=gate, outcome="failed", findings=(Finding(code, "error", "dark"), Finding(other, "error", "known"))
    )

    (by_gate,), _ = decide([result], accept(gate))
    (by_code,), _ = decide([result], accept(code))
    (by_both,), _ = decide([result], accept(gate, code))

    assert (by_gate.outcome, [one.severity for one in by_gate.findings]) == ("failed", ["error", "warning"])
    assert (by_code.outcome, [one.severity for one in by_code.findings]) == ("failed", ["warning", "error"])
    assert by_both.outcome == "accepted"


def test_a_gate_that_is_accepted_keeps_its_evidence_as_warnings() -> None:
    (result,), unneeded = decide([ZONE], accept("zone"))
    assert (result.outcome, unneeded) == ("accepted", ())
    assert [(one.code, one.severity, one.count) for one in result.findings] == [
        ("time.no-anchor", "warning", 2),
        ("time.order", "warning", 1),
    ]
    assert result.findings[0].message == "nothing proves it; accepted by alice: CHG-1"
    assert result.acceptances == accept("zone")


def test_of_two_findings_one_that_is_not_accepted_still_fails_the_gate() -> None:
    (result,), unneeded = decide([ZONE], accept("time.no-anchor"))
    assert (result.outcome, unneeded) == ("failed", ())
    assert [one.severity for one in result.findings] == ["warning", "error"]
    (result,), _ = decide([ZONE], accept("time.no-anchor", "time.order"))
    assert result.outcome == "accepted"
    assert len(result.acceptances) == 2


def test_who_ordered_a_mass_revocation_is_kept() -> None:
    warned = Finding("revocation.mass", "warning", "many")
    (result,), unneeded = decide(
        [GateResult(gate="mass-revocation", outcome="warned", findings=(warned,))], accept("mass-revocation")
    )
    assert (result.outcome, unneeded) == ("accepted", ())
    assert result.findings[0].message == "many; accepted by alice: CHG-1"


def test_a_warning_needs_no_acceptance_and_gets_none() -> None:
    warned = GateResult(gate="shrink", outcome="warned", findings=(Finding("shrink.vanished", "warning", "one"),))

    for name in ("shrink", "shrink.vanished"):
        (result,), unneeded = decide([warned], accept(name))
        assert (result.outcome, result.acceptances) == ("warned", ())
        assert "accepted by" not in result.findings[0].message
        assert [one.code for one in unneeded] == ["accept.unneeded"]


def test_an_acceptance_that_nothing_needed_is_worth_a_warning() -> None:
    passed = GateResult(gate="shrink", outcome="passed")
    (result,), (warning,) = decide([passed], accept("shrink"))
    assert (result.outcome, result.acceptances) == ("passed", ())
    assert (warning.code, warning.severity) == ("accept.unneeded", "warning")
    assert "--accept shrink" in warning.message


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_rows_that_contradict_each_other_are_never_accepted(severity: Severity) -> None:
    gate = GateResult(
        gate="duplicate",
        outcome="failed",
        findings=(Finding("row.conflict", "error", "differ"), Finding("row.repeated", severity, "repeat")),
    )
    (result,), _ = decide([gate], accept("duplicate"))
    assert result.outcome == "failed"
    assert result.findings[0] == gate.findings[0]


def test_findings_about_rows_are_accepted_by_their_codes() -> None:
    bad = GateResult(gate="rows-invalid", outcome="failed", findings=(Finding("row.serial.null", "error", "is null"),))
    (result,), _ = decide([bad], accept("row.serial.null"))
    assert result.outcome == "accepted"


def test_the_user_is_whom_the_operating_system_names(monkeypatch: pytest.MonkeyPatch) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert system_user() == name
    monkeypatch.setenv("SUDO_USER", "bob")
    assert system_user() == "bob"
    assert read_acceptances(("zone",), ("why",)) == (Acceptance("zone", "why", "bob"),)
    assert read_acceptances(("zone",), ("why",), " Alice, CAB 12 ") == (Acceptance("zone", "why", "Alice, CAB 12"),)


@pytest.mark.parametrize("user", [" ", "a" * 101])
def test_who_accepts_has_a_name(user: str) -> None:
    with pytest.raises(UsageError, match="--by"):
        read_acceptances(("zone",), ("why",), user)


def test_an_acceptance_that_cannot_help_is_not_said_to_be_unneeded() -> None:
    gate = GateResult(gate="duplicate", outcome="failed", findings=(Finding("row.conflict", "error", "differ"),))
    (result,), unneeded = decide([gate], accept("duplicate"))
    assert (result.outcome, unneeded) == ("failed", ())
    assert [is_refused(one, [result]) for one in accept("duplicate", "row.repeated")] == [True, False]
