"""Profiles in whole runs: what each issuer's own validity means for its answers, and for what is refused."""

from collections.abc import Mapping
from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pki import DAY, make_issuer, make_responder
from tests.pregen.cli.ca import GOOD, REVOKED, Ca, Column, Outcome, Program, Value, instants, octets

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
PUBLIC = ("strict", "cabf-tls", "cabf-smime", "cabf-cs", "mozilla", "microsoft", "offline-ca")


@pytest.fixture
def second(ca: Ca) -> dict[str, Value]:
    """A second issuer, which signs itself, and the snapshot of both."""
    make_issuer("Example Root R2", not_before=ca.now - 365 * DAY, not_after=ca.now + 3_650 * DAY).write(
        ca.folder, "other"
    )
    both(ca)
    return {"name": "r2", "certificate": "other.pem", "key": "other.key"}


def both(ca: Ca, **changes: Column) -> None:
    """Write two certificates of each issuer, one of them revoked."""
    more: dict[str, Column] = {"reason": pa.array([None, 1, None, None], pa.int8())} | changes
    ca.export(
        serial=octets(GOOD, REVOKED, GOOD, REVOKED),
        issuer=pa.array(["r1", "r1", "r2", "r2"]),
        status=pa.array([0, 1, 0, 1], pa.uint8()),
        revoked_at=instants(None, ca.now - HOUR, None, ca.now - HOUR),
        as_of=None,
        to="snapshot.parquet",
        **more,
    )


def findings(ended: Outcome) -> list[dict[str, Value]]:
    """Return the findings of an error in the one object on stdout."""
    found = ended.error["findings"]
    assert isinstance(found, list)
    return found


def shown_with(ended: Outcome) -> list[dict[str, Value]]:
    """Return the findings next to what a command that went well says."""
    found = ended.document.get("findings", [])
    assert isinstance(found, list)
    return found


def test_answers_of_each_issuer_have_its_own_window(ca: Ca, pregen: Program, second: Mapping[str, Value]) -> None:
    ca.configure(
        {**second, "validity": {"profile": "cabf-tls", "lifetime": "10d", "backdate": "1h"}},
        issuer={"validity": {"profile": "microsoft"}},
    )

    assert pregen("run", ca.config).code == 0

    windows = {}
    for name in ("issuer", "other"):
        ask = ("lookup", ca.store, "--issuer", ca.folder / f"{name}.pem", "--serial", f"{GOOD:x}", "--json")
        found = pregen(*ask).document
        windows[name] = [found[field] for field in ("this_update", "next_update", "refresh_by")]
    began = ca.now - HOUR
    for name, instants_ in (
        ("issuer", (ca.now, ca.now + 4 * DAY - SECOND, ca.now + 2 * DAY)),
        ("other", (began, began + 10 * DAY - SECOND, began + 4 * DAY)),
    ):
        assert windows[name] == [f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in instants_]
    assert pregen("inspect", ca.store, "--json").document["profile"] == "microsoft, cabf-tls"


@pytest.mark.parametrize("profile", PUBLIC)
def test_one_public_issuer_makes_the_whole_run_public(
    ca: Ca, pregen: Program, second: Mapping[str, Value], profile: str
) -> None:
    now = ca.now - DAY
    both(ca)
    ca.export(as_of=now, to="old.parquet", issuer=pa.array(["r1", "r2", "r1"]))
    words = ("--snapshot", ca.folder / "old.parquet", "--now", now.isoformat(), "--json")
    ca.configure({**second, "validity": {"profile": profile}}, validity={"profile": "lab"})

    ended = pregen("check", ca.config, *words)

    assert (ended.code, ended.error["code"]) == (2, "usage")
    assert "is more than 5m from the clock" in ended.err
    ca.configure(second, validity={"profile": "lab"})
    assert pregen("check", ca.config, *words).code == 0


def test_windows_that_no_issuer_may_have_are_all_named_at_once(
    ca: Ca, pregen: Program, second: Mapping[str, Value]
) -> None:
    ca.responder = make_responder(ca.issuer, not_before=ca.now - DAY, not_after=ca.now + 15 * HOUR)
    ca.responder.write(ca.folder, "ocsp")
    ca.configure(
        {**second, "validity": {"profile": "mozilla", "lifetime": "10d", "backdate": "5d"}}, validity={"lifetime": "2d"}
    )

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (2, "configuration")
    first, other = (str(one["message"]) for one in findings(ended))
    assert first.startswith("r1: the certificates of signer and issuer end at")
    assert "shorter than the 16h of profile strict: renew the certificate" in first
    assert (
        other
        == "r2: a backdate of 5d uses up the 4d after which profile mozilla wants a newer answer: shorten backdate"
    )
    assert ca.stored() == {}


@pytest.mark.parametrize("command", ["check", "run"])
def test_the_earliest_instant_at_which_newer_answers_are_due_is_shown(
    ca: Ca, pregen: Program, second: Mapping[str, Value], command: str
) -> None:
    ca.configure({**second, "validity": {"lifetime": "2d"}})
    due = f"{ca.now + DAY:%Y-%m-%dT%H:%M:%SZ}"

    told = pregen(command, ca.config)

    assert f"refresh by {due}" in " ".join(told.out.split())
    assert pregen(command, ca.config, "--json").document["refresh_by"] == due


@pytest.mark.parametrize("command", ["check", "run"])
def test_windows_that_a_certificate_shortens_are_one_warning_with_what_ends_first_first(
    ca: Ca, pregen: Program, second: Mapping[str, Value], command: str
) -> None:
    ends, later = ca.now + 40 * HOUR, ca.now + 50 * HOUR
    make_responder(ca.issuer, not_before=ca.now - DAY, not_after=later).write(ca.folder, "ocsp")
    make_issuer("Example Root R2", not_before=ca.now - 365 * DAY, not_after=ends).write(ca.folder, "other")
    ca.configure(second)

    ended = pregen(command, ca.config, "--json")

    assert ended.code == 0
    [finding] = [one for one in shown_with(ended) if one["code"] == "window.capped"]
    assert (finding["severity"], finding["count"]) == ("warning", 2)
    assert finding["examples"] == [
        f"r2: ends at {ends:%Y-%m-%dT%H:%M:%SZ}, which leaves 40h of 4d",
        f"r1: ends at {later:%Y-%m-%dT%H:%M:%SZ}, which leaves 50h of 4d",
    ]


def test_a_window_that_ends_with_the_certificate_is_not_shortened_to_the_second(ca: Ca, pregen: Program) -> None:
    for left, short in ((4 * DAY - SECOND, False), (4 * DAY - 2 * SECOND, True)):
        make_responder(ca.issuer, not_before=ca.now - DAY, not_after=ca.now + left).write(ca.folder, "ocsp")
        ca.configure()

        ended = pregen("check", ca.config)

        assert ended.code == 0
        assert ("warning window.capped" in ended.err) == short
        assert ("which leaves 95h of 4d" in ended.err) == short


def test_a_lifetime_is_a_mistake_of_the_issuer_that_has_it(
    ca: Ca, pregen: Program, second: Mapping[str, Value]
) -> None:
    ca.configure({**second, "validity": {"profile": "microsoft"}}, validity={"profile": "cabf-tls", "lifetime": "9d"})

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (2, "configuration")
    [finding] = findings(ended)
    assert finding["code"] == "config.lifetime"
    assert 'issuer["r2"].validity.lifetime: profile microsoft allows at most 7d, not 9d' in str(finding["message"])


def test_only_the_cas_of_public_issuers_need_a_reason(ca: Ca, pregen: Program, second: Mapping[str, Value]) -> None:
    kind = pa.array(["ca", "ca", "end-entity", "ca"])
    both(ca, kind=kind)
    ca.configure(second)

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (3, "gate")
    [finding] = findings(ended)
    assert (finding["code"], finding["count"]) == ("row.reason.missing", 1)
    assert finding["examples"] == [f"{ca.snapshot}, row 4, reason, null"]
    assert ca.stored() == {}
    ca.configure({**second, "validity": {"profile": "lab"}})
    assert pregen("run", ca.config).code == 0
    both(ca, kind=kind, reason=pa.array([None, 1, None, 5], pa.int8()))
    ca.configure(second)
    assert pregen("run", ca.config).code == 0


def test_certificates_without_ocsp_get_no_answer_and_are_counted(
    ca: Ca, pregen: Program, second: Mapping[str, Value]
) -> None:
    both(ca, needs_ocsp=pa.array([True, None, False, False]))
    ca.configure(second)

    found = pregen("run", ca.config, "--json").document

    assert (found["rows_in"], found["certificates"], found["excluded"]) == (4, 2, {"no-ocsp": 2})
    ask = ("--serial", f"{REVOKED:x}", "--json")
    assert pregen("lookup", ca.store, "--issuer", ca.pem, *ask).document["status"] == "revoked"
    assert pregen("lookup", ca.store, "--issuer", ca.folder / "other.pem", *ask).code == 4


def test_a_responder_that_departs_from_the_baseline_requirements_signs_under_lab_alone(ca: Ca, pregen: Program) -> None:
    make_responder(ca.issuer, not_before=ca.now - DAY, alternative_name="ocsp.example").write(ca.folder, "ocsp")

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (2, "configuration")
    assert "error responder.profile" in ended.err
    assert "issue one that conforms (only profile lab, for tests, takes it)" in ended.err
    assert ca.stored() == {}
    ca.configure(validity={"profile": "lab"})
    lenient = pregen("run", ca.config)
    assert lenient.code == 0
    assert "warning responder.profile" in lenient.err


def test_a_forbidden_reason_is_refused_and_published_as_it_is_where_that_is_accepted(ca: Ca, pregen: Program) -> None:
    ca.export(reason=pa.array([None, 6, None], pa.int8()))

    refused = pregen("run", ca.config, "--json")
    imported = pregen("import", ca.config, "--out", ca.folder / "out")
    accept = ("--accept", "row.reason.hold", "--reason", "the last one, until its owner is back")
    accepted = pregen("run", ca.config, "--json", *accept)

    assert (refused.code, refused.error["code"], imported.code) == (3, "gate", 0)
    assert "--accept profile --reason TEXT" in refused.err
    assert "row.reason.hold" in refused.err
    assert accepted.code == 0, accepted.err
    gates = accepted.document["gates"]
    assert isinstance(gates, dict)
    assert (gates["profile"]["outcome"], gates["rows-invalid"]["outcome"]) == ("accepted", "passed")
    assert accepted.document["excluded"] == {}
    assert [one["code"] for one in shown_with(accepted)] == ["row.reason.hold"]
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{REVOKED:x}", "--json").document
    assert (found["status"], found["reason"]) == ("revoked", "certificateHold")


def test_to_accept_rows_that_cannot_be_read_does_not_accept_what_a_profile_forbids(ca: Ca, pregen: Program) -> None:
    ca.configure(gates={"rows_invalid": 9})
    ca.export(reason=pa.array([None, 6, None], pa.int8()))

    ended = pregen("run", ca.config, "--json", "--accept", "rows-invalid", "--reason", "why")

    assert ended.code == 3
    assert "error row.reason.hold" in ended.err


def test_an_offline_ca_has_windows_of_up_to_twelve_months_for_its_subordinates(ca: Ca, pregen: Program) -> None:
    make_responder(ca.issuer, not_before=ca.now - DAY, not_after=ca.now + 800 * DAY).write(ca.folder, "ocsp")
    ca.configure(validity={"profile": "offline-ca", "lifetime": "365d"})

    untold = pregen("run", ca.config, "--json")
    ca.export(kind=pa.array(["ca"] * 3))
    ended = pregen("run", ca.config, "--json")

    assert (untold.code, [one["code"] for one in findings(untold)]) == (3, ["row.kind.end-entity"])
    assert ended.code == 0, ended.err
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{REVOKED:x}", "--json").document
    assert (found["status"], found["reason"]) == ("revoked", "keyCompromise")
    assert found["next_update"] == f"{ca.now + 365 * DAY - SECOND:%Y-%m-%dT%H:%M:%SZ}"
    assert found["refresh_by"] == f"{ca.now + 351 * DAY - SECOND:%Y-%m-%dT%H:%M:%SZ}"
    assert pregen("verify", ca.store, "--config", ca.config).code == 0
    ca.configure(validity={"profile": "offline-ca", "lifetime": "366d"})
    assert "at most 365d, not 366d" in pregen("check", ca.config).err


@pytest.mark.parametrize(("hours", "is_late"), [(49, True), (23, False), (80, False)])
@pytest.mark.parametrize("profile", ["offline-ca", "microsoft"])
def test_a_run_of_an_offline_ca_that_comes_a_day_after_a_revocation_is_late(
    ca: Ca, pregen: Program, profile: str, hours: int, *, is_late: bool
) -> None:
    make_responder(ca.issuer, not_before=ca.now - 9 * DAY, not_after=ca.now + 800 * DAY).write(ca.folder, "ocsp")
    lifetime = "365d" if profile == "offline-ca" else "7d"
    ca.configure(validity={"profile": profile, "lifetime": lifetime}, gates={"stale_snapshot": "10d"})
    kind = pa.array(["ca"] * 3)
    ca.export(
        kind=kind,
        status=pa.array([1, 0, 0]),
        reason=pa.array([1, None, None]),
        revoked_at=instants(ca.now - 9 * DAY, None, None),
        as_of=ca.now - 3 * DAY,
    )
    assert pregen("run", ca.config).code == 0
    ca.export(
        kind=kind,
        status=pa.array([1, 1, 0]),
        reason=pa.array([1, 4, None]),
        revoked_at=instants(ca.now - 9 * DAY, ca.now - timedelta(hours=hours), None),
    )

    ended = pregen("run", ca.config)

    assert ended.code == 0, ended.err
    assert ("warning revocation.late: " in ended.err) == (is_late and profile == "offline-ca")
