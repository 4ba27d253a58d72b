"""Rows that are bad, or left out, beside another row of the same certificate."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pki import make_issuer, make_responder
from tests.pregen.cli.ca import GOOD, Ca, Outcome, Program, instants, octets

FOUR = octets(GOOD)[0].as_py()


def export(ca: Ca, *rows: tuple[bytes, str, bool]) -> None:
    """Write rows of serial, issuer and whether they are revoked."""
    serials, issuers, revoked = zip(*rows, strict=True)
    at = ca.now - timedelta(hours=1)
    ca.export(
        serial=pa.array(serials, pa.binary()),
        issuer=pa.array(issuers),
        status=pa.array([int(one) for one in revoked]),
        revoked_at=instants(*(at if one else None for one in revoked)),
        reason=None,
    )


def codes(ended: Outcome) -> set[str]:
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    return {finding["code"] for finding in findings if finding["severity"] == "error"}


SECOND = {
    "name": "r2",
    "certificate": "other.pem",
    "responder_certificate": "ocsp2.pem",
    "key": "ocsp2.key",
}


@pytest.fixture
def two(ca: Ca) -> Ca:
    """A CA with a second issuer, which allows some bad rows."""
    other = make_issuer("Another CA", not_before=ca.now - timedelta(days=365), not_after=ca.now + timedelta(days=365))
    other.write(ca.folder, "other")
    make_responder(other, not_before=ca.now - timedelta(days=1), not_after=ca.now + timedelta(days=60)).write(
        ca.folder, "ocsp2"
    )
    ca.configure(SECOND, gates={"rows_invalid": 5})
    return ca


@pytest.mark.parametrize("bad", [(b"\0" + FOUR, "r2"), (FOUR, "r 2"), (b"\0" + FOUR, "R2")])
@pytest.mark.parametrize("accept", [(), ("--accept", "rows-invalid", "--reason", "known")])
def test_a_revoked_row_that_is_misspelt_keeps_the_good_row_from_being_published(
    two: Ca, pregen: Program, bad: tuple[bytes, str], accept: tuple[str, ...]
) -> None:
    export(two, (FOUR, "r2", False), (b"\x05", "r1", False), (*bad, True))

    ended = pregen("run", two.config, "--json", *accept)

    assert ended.code == 3
    assert "row.conflict" in codes(ended)
    assert "row 3" in ended.out
    assert two.published() == {}


def test_misspelt_rows_of_certificates_that_have_no_other_row_are_left_out(two: Ca, pregen: Program) -> None:
    export(two, (b"\x05", "r1", False), (b"\0" + FOUR, "r1", True), (b"\x06", "lost", True), (b"\x05", "lost", False))

    ended = pregen("run", two.config, "--json", "--accept", "issuer.empty", "--reason", "nothing is about r2 here")

    assert ended.code == 0, ended.err
    assert ended.document["excluded"] == {"invalid": 3}
    assert ended.document["certificates"] == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_of_precertificates_that_are_left_out_do_not_stop_the_run(ca: Ca, pregen: Program, workers: int) -> None:
    """A database may have a row for each precertificate, beside the one of the certificate with its serial."""
    at = ca.now - timedelta(hours=1)
    ca.configure(
        snapshot={"columns": {"status": {"values": {"good": ["0"], "revoked": ["1"], "excluded": ["7"]}}}},
        run={"workers": workers},
    )
    ca.export(
        serial=octets(5, 5, 6, 6, 8, 8),
        status=pa.array([0, 0, 7, 0, 0, 1]),
        revoked_at=instants(None, None, None, None, None, at),
        needs_ocsp=pa.array([False, True, True, True, False, True]),
        reason=None,
    )

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert ended.document["excluded"] == {"no-ocsp": 2, "status": 1}
    for serial, status in ((5, "good"), (6, "good"), (8, "revoked")):
        found = pregen("lookup", ca.store, "--issuer", ca.pem, f"--serial={serial:x}", "--json")
        assert found.document["status"] == status


def test_a_row_that_is_left_out_and_says_revoked_still_contradicts_a_good_one(ca: Ca, pregen: Program) -> None:
    ca.export(
        serial=octets(5, 5, 8),
        status=pa.array([0, 1, 0]),
        revoked_at=instants(None, ca.now - timedelta(hours=1), None),
        needs_ocsp=pa.array([True, False, True]),
        reason=None,
    )

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, codes(ended)) == (3, {"row.conflict"})
    assert "row 2, column serial, 5: is bad or left out, and contradicts " in ended.out


@pytest.mark.parametrize("issuer", ["r 2", None])
@pytest.mark.parametrize(("status", "needs_ocsp"), [(1, False), (7, True)])
@pytest.mark.parametrize("through_import", [False, True])
def test_a_row_that_is_left_out_contradicts_a_good_one_whatever_its_issuer_is_called(
    two: Ca, pregen: Program, issuer: str | None, status: int, needs_ocsp: bool, through_import: bool
) -> None:
    values = {"good": ["0"], "revoked": ["1"], "excluded": ["7"]}
    two.configure(SECOND, snapshot={"columns": {"status": {"values": values}}})
    two.export(
        serial=octets(5, 5, 8),
        issuer=pa.array(["r2", issuer, "r1"]),
        status=pa.array([0, status, 0]),
        revoked_at=instants(None, two.now - timedelta(hours=1), None),
        needs_ocsp=pa.array([True, needs_ocsp, True]),
        reason=None,
    )
    words: list[object] = []
    if through_import:
        words = ["--snapshot", two.folder / "out"]
        assert pregen("import", two.config, "--out", words[1]).code == 0

    ended = pregen("run", two.config, "--json", *words)

    assert (ended.code, codes(ended)) == (3, {"row.conflict"})
    assert two.published() == {}


@pytest.mark.parametrize("status", [0, 1])
def test_rows_of_other_issuers_that_are_left_out_do_not_stop_the_run(ca: Ca, pregen: Program, status: int) -> None:
    ca.export(
        serial=octets(5, 6, 8),
        issuer=pa.array(["r1", "lost", "r1"]),
        status=pa.array([0, status, 0]),
        revoked_at=instants(None, ca.now - timedelta(hours=1) if status else None, None),
        needs_ocsp=pa.array([True, False, True]),
        reason=None,
    )

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert (ended.document["certificates"], ended.document["excluded"]) == (2, {"no-ocsp": 1})


@pytest.mark.parametrize(("days", "code"), [(-1, 0), (1, 3)])
def test_rows_that_contradict_each_other_matter_until_the_certificate_expires(
    ca: Ca, pregen: Program, days: int, code: int
) -> None:
    ca.export(
        serial=octets(5, 5, 8),
        status=pa.array([0, 1, 0]),
        revoked_at=instants(None, ca.now - timedelta(days=9), None),
        not_after=instants(*(ca.now + timedelta(days=at) for at in (-3, days, 9))),
        reason=None,
    )

    ended = pregen("run", ca.config, "--json")

    assert ended.code == code, ended.err
    if code:
        assert codes(ended) == {"row.conflict"}
    else:
        assert ended.document["excluded"] == {"expired": 1, "repeated": 1}
