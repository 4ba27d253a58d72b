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


@pytest.fixture
def two(ca: Ca) -> Ca:
    """A CA with a second issuer, which allows some bad rows."""
    other = make_issuer("Another CA", not_before=ca.now - timedelta(days=365), not_after=ca.now + timedelta(days=365))
    other.write(ca.folder, "other")
    make_responder(other, not_before=ca.now - timedelta(days=1), not_after=ca.now + timedelta(days=60)).write(
        ca.folder, "ocsp2"
    )
    section = {
        "name": "r2",
        "certificate": "other.pem",
        "responder_certificate": "ocsp2.pem",
        "key": "ocsp2.key",
    }
    ca.configure(section, gates={"rows_invalid": 5})
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

    ended = pregen("run", two.config, "--json")

    assert ended.code == 0, ended.err
    assert ended.document["excluded"] == {"invalid": 3}
    assert ended.document["certificates"] == 1
