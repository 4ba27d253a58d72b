"""CRLs that were read list certificates whose rows are good or unknown: refused, in the first generation too."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.pki import DAY, Party, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Program, instants, octets
from tests.pregen.cli.two import Row, codes, export
from tests.pregen.snapshot.crls.authority import Entry, forged, pem, write

SERIALS = [(1 << 71) + number for number in range(40)]
LISTED = SERIALS[:4]
ANCHOR = {"anchor": [{"crl": "anchor.crl"}]}


def crl(ca: Ca, entries: Sequence[Entry], *, made_h: float = 1, hours: float = 72, **fields: Any) -> bytes:
    """Return a CRL that was made so many hours before now, and is valid for as many."""
    made = ca.now - timedelta(hours=made_h)
    issuer: Party = fields.pop("issuer", ca.issuer)
    return forged(issuer, entries, this_update=made, next_update=made + timedelta(hours=hours), **fields)


def entries(ca: Ca, serials: Sequence[int] = LISTED, reason: int | None = 1, days: float = 3) -> list[Entry]:
    return [Entry(serial=serial, at=ca.now - timedelta(days=days), reason=reason) for serial in serials]


@pytest.fixture
def anchored(ca: Ca) -> Ca:
    """A CA whose CRL lists four certificates, all of which are good in the snapshot."""
    ca.configure(snapshot=ANCHOR)
    write(ca.folder, "anchor.crl", crl(ca, entries(ca)))
    export(ca, [Row(serial) for serial in SERIALS])
    return ca


def test_good_rows_that_a_crl_lists_are_refused_with_place_serial_and_time(anchored: Ca, pregen: Program) -> None:
    ended = pregen("run", anchored.config, "--json")

    assert (ended.code, codes(ended)) == (3, ["revocation.in-crl"])
    (finding,) = [one for one in ended.error["findings"] if one["code"] == "revocation.in-crl"]  # type: ignore[attr-defined]
    since = f"{anchored.now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    assert finding["count"] == 4
    assert (
        f"{anchored.snapshot}, row 1, serial 800000000000000000, good: {anchored.folder}/anchor.crl has it revoked "
        f"since {since}"
    ) in finding["examples"]
    assert anchored.published() == {}


def test_it_is_accepted_by_name_kept_with_the_commit_and_shown_again_the_next_time(
    anchored: Ca, pregen: Program
) -> None:
    accepted = pregen("run", anchored.config, "--accept", "revocation.in-crl", "--reason", "a drill")
    again = pregen("check", anchored.config, "--json")

    assert accepted.code == 0
    assert "revoked-elsewhere accepted by" not in accepted.out
    assert "revocation.in-crl accepted by" in accepted.out
    assert codes(again) == ["revocation.in-crl"]


@pytest.mark.parametrize("status", [0, 2])
def test_unknown_is_contradicted_as_good_is_and_revoked_is_not(anchored: Ca, pregen: Program, status: int) -> None:
    at = anchored.now - timedelta(days=3)
    rows = [Row(one, revoked_at=at, reason=1) for one in LISTED[1:]] + [Row(one) for one in SERIALS[4:]]
    export(anchored, [Row(LISTED[0], status=status), *rows])

    assert codes(pregen("run", anchored.config, "--json")) == ["revocation.in-crl"]

    export(anchored, [Row(LISTED[0], revoked_at=at, reason=1), *rows])
    ended = pregen("run", anchored.config, "--json")
    figures = json.loads(ended.out)["gates"]["revoked-elsewhere"]["figures"]
    assert figures == {"contradicted": 0, "entries_of_crls": 4}


def test_certificates_that_have_expired_or_have_no_row_contradict_nothing(anchored: Ca, pregen: Program) -> None:
    anchored.export(
        serial=octets(LISTED[0], SERIALS[9]),
        status=None,
        revoked_at=instants(None, None),
        reason=None,
        not_after=instants(anchored.now - DAY, anchored.now + DAY),
    )

    assert pregen("run", anchored.config).code == 0


@pytest.mark.parametrize(
    ("reason", "made_h", "hours", "days", "code"),
    [
        (6, 1, 72, 3, "revocation.hold-in-crl"),
        (6, 100, 72, 5, None),  # expired: the hold may have ended
        (1, 100, 72, 5, "revocation.in-crl"),  # expired: what is final stays
        (None, 1, 72, 3, "revocation.in-crl"),
        (1, -0.05, 72, -0.01, None),  # later than as_of, and so is the revocation
        (1, -0.05, 72, 1, "revocation.in-crl"),  # later than as_of, and the revocation is not
        (8, 1, 72, 3, None),
    ],
)
def test_what_is_final_counts_for_ever_and_a_hold_while_its_crl_is_valid(
    anchored: Ca, pregen: Program, *, reason: int | None, made_h: float, hours: float, days: float, code: str | None
) -> None:
    listed = entries(anchored, LISTED[:1], reason, days)
    write(anchored.folder, "anchor.crl", crl(anchored, listed, made_h=made_h, hours=hours))

    assert codes(pregen("run", anchored.config, "--json")) == ([code] if code else [])


def test_a_hold_that_a_delta_or_a_newer_base_has_ended_does_not_count(anchored: Ca, pregen: Program) -> None:
    old = crl(anchored, entries(anchored, reason=6), made_h=5)
    new = crl(anchored, entries(anchored, LISTED[:1], reason=6), made_h=2, number=9)
    write(anchored.folder, "anchor.crl", pem(old, new))
    ended = pregen("check", anchored.config, "--json")
    assert codes(ended) == ["revocation.hold-in-crl"]
    assert {one["count"] for one in ended.error["findings"] if one["severity"] == "error"} == {1}  # type: ignore[attr-defined]

    delta = crl(anchored, entries(anchored, LISTED[:1], reason=8), made_h=1, number=10, base_number=9)
    write(anchored.folder, "anchor.crl", pem(old, new, delta))
    assert pregen("check", anchored.config).code == 0


def test_a_crl_of_the_new_key_lists_what_the_old_key_has_issued(anchored: Ca, pregen: Program) -> None:
    """RFC 5280, 4.1.2.2: the name of the issuer and the serial are the certificate."""
    newer = make_issuer(not_before=anchored.now - 9 * DAY, not_after=anchored.now + 365 * DAY)
    newer.write(anchored.folder, "newer")
    make_responder(newer, not_before=anchored.now - DAY, not_after=anchored.now + 60 * DAY).write(
        anchored.folder, "ocsp2"
    )
    second = {"name": "r2", "certificate": "newer.pem", "responder_certificate": "ocsp2.pem", "key": "ocsp2.key"}
    anchored.configure(second, snapshot=ANCHOR)
    write(anchored.folder, "anchor.crl", crl(anchored, entries(anchored), issuer=newer))
    export(anchored, [*(Row(one) for one in SERIALS), Row(77, "r2")])

    assert codes(pregen("run", anchored.config, "--json")) == ["revocation.in-crl"]


@pytest.mark.parametrize("reason", [1, None])
def test_an_older_crl_of_the_source_says_what_the_newest_has_lost(ca: Ca, pregen: Program, reason: int | None) -> None:
    ca.configure(snapshot={"path": "snapshot.parquet", "kind": "crl", "crls": "*.crl"})
    ca.export(
        serial=octets(*SERIALS),
        status=None,
        revoked_at=None,
        reason=None,
        not_after=instants(*[ca.now + 30 * DAY] * len(SERIALS)),
    )
    write(ca.folder, "older.crl", crl(ca, entries(ca, reason=reason), made_h=30, number=3))
    write(ca.folder, "newer.crl", crl(ca, entries(ca, LISTED[1:], reason=reason), number=4))
    ended = pregen("run", ca.config, "--json")
    assert codes(ended) == ["revocation.in-crl"]
    assert "older.crl has it revoked since" in str(ended.error["findings"])

    write(ca.folder, "older.crl", crl(ca, entries(ca, reason=6), made_h=30, number=3))
    assert pregen("run", ca.config).code == 0, "a hold may have ended"


def test_workers_and_shards_find_all_of_a_large_crl(ca: Ca, pregen: Program) -> None:
    serials = [(1 << 100) + 7 * number for number in range(150_000)]
    ca.configure(snapshot=ANCHOR, run={"workers": 2}, issuer={"cert_ids": "sha1"})
    listed = serials[:30_000:3]
    write(ca.folder, "anchor.crl", crl(ca, entries(ca, listed)))
    ca.export(
        serial=pa.array([one.to_bytes(13, "big") for one in serials], pa.binary()),
        status=None,
        revoked_at=pa.nulls(len(serials), pa.timestamp("ms", "UTC")),
        reason=None,
    )
    ended = pregen("check", ca.config, "--json")
    (finding,) = [one for one in ended.error["findings"] if one["severity"] == "error"]  # type: ignore[attr-defined]

    assert (finding["code"], finding["count"], len(finding["examples"])) == ("revocation.in-crl", 10_000, 20)


def test_certificates_whose_windows_end_with_them_are_looked_up_like_others(anchored: Ca, pregen: Program) -> None:
    anchored.configure(snapshot=ANCHOR, validity={"lifetime": "4d", "end_with_certificate": True})
    anchored.export(
        serial=octets(*SERIALS),
        status=None,
        revoked_at=pa.nulls(len(SERIALS), pa.timestamp("ms", "UTC")),
        reason=None,
        not_after=instants(*[anchored.now + 2 * DAY] * len(SERIALS)),
    )

    assert codes(pregen("run", anchored.config, "--json")) == ["revocation.in-crl"]


def leave_out(ca: Ca, count: int, **snapshot: Any) -> None:
    """Give the first rows a status that is mapped to excluded."""
    values = {"good": ["0"], "revoked": ["1"], "excluded": ["9"]}
    ca.configure(snapshot={**ANCHOR, "columns": {"status": {"name": "status", "values": values}}, **snapshot})
    export(ca, [Row(serial, status=9 if at < count else 0) for at, serial in enumerate(SERIALS)])


def test_rows_that_are_left_out_by_their_status_and_that_a_crl_lists_are_refused(anchored: Ca, pregen: Program) -> None:
    leave_out(anchored, 10)

    ended = pregen("run", anchored.config, "--json")
    accepted = pregen("run", anchored.config, "--accept", "revocation.left-out", "--reason", "they were never issued")

    assert codes(ended) == ["revocation.left-out"]
    (finding,) = [one for one in ended.error["findings"] if one["severity"] == "error"]  # type: ignore[attr-defined]
    assert finding["count"] == 4 == len(finding["examples"])
    assert any("row 1, serial 800000000000000000, left out: " in one for one in finding["examples"])
    assert accepted.code == 0, accepted.err
    assert "warning revocation.left-out: 4 rows" in accepted.err


def test_what_is_left_out_and_expired_or_needs_no_ocsp_or_has_another_row_is_not_missed(
    anchored: Ca, pregen: Program
) -> None:
    leave_out(anchored, 0)
    at = anchored.now - 3 * DAY
    count = len(SERIALS)
    anchored.export(
        serial=octets(*SERIALS, SERIALS[0]),
        status=pa.array([9, 9, 0, 0, *[0] * (count - 4), 1], pa.uint8()),
        needs_ocsp=pa.array([True, True, False, False, *[True] * (count - 3)]),
        revoked_at=instants(*[None] * count, at),
        reason=pa.array([None] * count + [1], pa.int8()),
        not_after=instants(*[anchored.now + DAY], anchored.now - DAY, *[anchored.now + 30 * DAY] * (count - 1)),
    )

    ended = pregen("check", anchored.config)

    assert ended.code == 0, ended.err
    assert "left-out" not in ended.err


def test_a_row_that_is_left_out_and_says_when_it_was_revoked_is_a_warning(ca: Ca, pregen: Program) -> None:
    leave_out(ca, 0, anchor=[])
    at = ca.now - 3 * DAY
    export(ca, [Row(serial, revoked_at=at, status=9) for serial in LISTED] + [Row(one) for one in SERIALS[4:]])

    ended = pregen("check", ca.config)

    assert ended.code == 0, ended.err
    assert "warning row.revoked.left-out: column 'revoked_at' is set in rows" in ended.err
    assert "row 1, revoked_at, " in ended.err
