"""Rows of one issuer under the label of another, and issuers without a row: refused, in the first generation too."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pki import DAY, Party, make_responder
from tests.pregen.cli.ca import Ca, Program, instants, octets
from tests.pregen.cli.two import SECOND, Row, codes, export, second_issuer
from tests.pregen.snapshot.crls.authority import Entry, forged, write

FIRST = [(1 << 71) + 3 * number for number in range(30)]
OTHERS = [(1 << 71) + 3 * number + 1 for number in range(30)]


def crl_of(ca: Ca, issuer: Party, serials: list[int]) -> None:
    made = ca.now - timedelta(hours=1)
    listed = [Entry(serial=one, at=ca.now - 3 * DAY, reason=1) for one in serials]
    write(ca.folder, "anchor.crl", forged(issuer, listed, this_update=made, next_update=made + 7 * DAY))


def rows(ca: Ca, serials: list[int], issuer: str, revoked: int = 5) -> list[Row]:
    at = ca.now - 3 * DAY
    return [Row(one, issuer, at, 1) if number < revoked else Row(one, issuer) for number, one in enumerate(serials)]


@pytest.mark.parametrize("swapped", ["both", "file", "one"])
def test_rows_that_the_crl_of_another_issuer_lists_have_the_wrong_label(ca: Ca, pregen: Program, swapped: str) -> None:
    second_issuer(ca, anchor=[{"crl": "anchor.crl"}])
    crl_of(ca, ca.issuer, FIRST[:5])
    wrong = {"both": 30, "file": 10, "one": 1}[swapped]
    mine = rows(ca, FIRST[:wrong], "r2") + rows(ca, FIRST, "r1")[wrong:]
    export(ca, mine + rows(ca, OTHERS, "r1" if swapped == "both" else "r2"))

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, codes(ended)) == (3, ["issuer.mislabelled"])
    assert "rows are labelled 'r2', but" in str(ended.error["findings"])
    accepted = pregen("run", ca.config, "--accept", "issuer.mislabelled", "--reason", "a drill", "--json")
    assert accepted.code == 0


def test_rows_under_their_own_labels_pass_and_the_gate_says_what_is_proved(ca: Ca, pregen: Program) -> None:
    second_issuer(ca, anchor=[{"crl": "anchor.crl"}])
    crl_of(ca, ca.issuer, FIRST[:5])
    export(ca, rows(ca, FIRST, "r1") + rows(ca, OTHERS, "r2"))

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    gate = ended.document["gates"]["issuer-label"]  # type: ignore[index]
    assert gate == {"outcome": "passed", "figures": {"issuers": 2, "proved": 1}}


def test_issuers_that_count_alike_are_no_evidence_unless_the_times_are_equal(ca: Ca, pregen: Program) -> None:
    """Both have the serials 1 to 30; those that the first has revoked have expired there, and are on its CRL still."""
    second_issuer(ca, anchor=[{"crl": "anchor.crl"}])
    numbers = list(range(1, 31))
    crl_of(ca, ca.issuer, numbers[:5])
    export(ca, rows(ca, numbers[5:], "r1", 0) + rows(ca, numbers, "r2", 0))
    assert pregen("check", ca.config).code == 0

    export(ca, rows(ca, numbers[5:], "r1", 0) + rows(ca, numbers, "r2", 5))
    assert codes(pregen("check", ca.config, "--json")) == ["issuer.mislabelled"]


def test_an_issued_certificate_proves_a_label_too(ca: Ca, pregen: Program) -> None:
    other = second_issuer(ca, anchor=[{"certificate": "issued.pem"}])
    expiry = ca.now + timedelta(days=30)
    issued = make_responder(other, serial=OTHERS[7], not_before=ca.now - DAY, not_after=expiry)
    issued.write(ca.folder, "issued")
    export(ca, rows(ca, FIRST, "r2") + rows(ca, OTHERS, "r1"))

    ended = pregen("check", ca.config, "--json")

    assert set(codes(ended)) == {"issuer.mislabelled", "time.anchor-not-found"}
    assert "row 38, issuer, 'r1': in" in str(ended.error["findings"])


def test_where_crls_tell_the_revocations_they_tell_labels_too(ca: Ca, pregen: Program) -> None:
    other = second_issuer(ca, kind="crl", path="snapshot.parquet", crls="*.crl")
    crl_of(ca, ca.issuer, FIRST[:5])
    made = ca.now - timedelta(hours=1)
    write(ca.folder, "other.crl", forged(other, (), this_update=made, next_update=made + 7 * DAY))
    mine = rows(ca, FIRST[:4], "r2", 0) + rows(ca, FIRST[4:], "r1", 0)
    export(ca, mine + rows(ca, OTHERS, "r2", 0))

    assert codes(pregen("check", ca.config, "--json")) == ["issuer.mislabelled"]

    export(ca, rows(ca, FIRST, "r1", 0) + rows(ca, OTHERS, "r2", 0))
    assert pregen("check", ca.config).code == 0


def test_an_issuer_whose_rows_are_all_under_the_other_label_has_none(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    export(ca, rows(ca, FIRST + OTHERS, "r1"))

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, codes(ended)) == (3, ["issuer.empty"])
    assert "r2" in str(ended.error["findings"])
    assert ca.published() == {}


def test_what_is_accepted_or_declared_once_is_not_asked_again(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    export(ca, rows(ca, FIRST, "r1"))
    assert pregen("run", ca.config, "--accept", "issuer-missing", "--reason", "r2 is new").code == 0

    again = pregen("run", ca.config)
    assert again.code == 0
    assert "warning issuer.empty: " in again.err
    ca.configure({**SECOND, "empty": True})
    declared = pregen("run", ca.config)
    assert (declared.code, declared.err) == (0, "")

    export(ca, rows(ca, FIRST, "r1") + rows(ca, OTHERS[:7], "r2"))
    filled = pregen("run", ca.config)
    assert filled.code == 0
    assert "warning issuer.not-empty: " in filled.err
    assert "r2: 7 rows" in filled.err


def test_an_issuer_whose_rows_get_no_answers_is_not_empty(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    ca.export(
        serial=octets(5, 6),
        issuer=pa.array(["r1", "r2"]),
        status=pa.array([0, 0], pa.uint8()),
        revoked_at=None,
        reason=None,
        not_after=instants(ca.now + DAY, ca.now - DAY),
    )
    assert pregen("run", ca.config).code == 0


def test_check_and_run_show_rows_revocations_and_the_newest_issuance_of_each_issuer(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    ca.configure(
        SECOND, snapshot={"columns": {"status": {"values": {"good": ["0"], "revoked": ["1"], "excluded": ["9"]}}}}
    )
    at = ca.now - timedelta(hours=2)
    ca.export(
        serial=octets(*range(5, 12)),
        issuer=pa.array(["r1"] * 4 + ["r2"] * 3),
        status=pa.array([0, 1, 0, 9, 0, 1, 1], pa.uint8()),
        revoked_at=instants(None, at, None, None, None, at, at),
        reason=None,
        not_before=instants(at, at - DAY, ca.now + DAY, at, None, None, None),
        not_after=instants(*[ca.now + 2 * DAY] * 2, ca.now - DAY, *[ca.now + 2 * DAY] * 4),
    )
    wanted = [
        {"name": "r1", "rows": 4, "certificates": 2, "revoked": 1, "newest_issuance": f"{at:%Y-%m-%dT%H:%M:%SZ}"},
        {"name": "r2", "rows": 3, "certificates": 3, "revoked": 2, "newest_issuance": None},
    ]
    accept = ("--accept", "zone", "--reason", "a drill")

    checked, ended = (pregen(command, ca.config, "--json", *accept) for command in ("check", "run"))
    shown = pregen("check", ca.config, *accept)

    assert checked.document["by_issuer"] == ended.document["by_issuer"] == wanted
    assert f"issuer r1: rows 4, certificates 2, revoked 1, newest issuance {at:%Y-%m-%dT%H:%M:%SZ}\n" in shown.out
    assert "issuer r2: rows 3, certificates 3, revoked 2, newest issuance unknown\n" in shown.out
