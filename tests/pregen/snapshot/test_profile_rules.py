"""Rows that the profile of their issuer forbids: reasons of revocation, and what is no CA where CAs alone may be."""

import pyarrow as pa
import pytest

from pregen.config import SnapshotConfig
from pregen.validity import PROFILES
from tests.pregen.snapshot.desk import AS_OF, Desk, table

REVOKED_AT = 1_790_000_000_000  # in milliseconds since 1970
UTC_MS = pa.timestamp("ms", "UTC")
HOLD, CA_COMPROMISE, AA_COMPROMISE = "row.reason.hold", "row.reason.ca-compromise", "row.reason.aa-compromise"
MISSING, UNSPECIFIED = "row.reason.missing", "row.reason.unspecified"
TLS: dict[tuple[str, int | None], str] = {
    ("end-entity", 2): CA_COMPROMISE,
    ("end-entity", 6): HOLD,
    ("end-entity", 10): AA_COMPROMISE,
    ("ca", 6): HOLD,
    ("ca", 10): AA_COMPROMISE,
    ("ca", None): MISSING,
    ("ca", 0): UNSPECIFIED,
}
# The rules once more: what of all reasons of revoked rows is an error.
FORBIDDEN: dict[str, dict[tuple[str, int | None], str]] = {
    "strict": TLS,
    "cabf-tls": TLS,
    "mozilla": TLS,
    "cabf-smime": {key: code for key, code in TLS.items() if key != ("end-entity", 6)},
    "cabf-cs": {("end-entity", 6): HOLD, ("ca", 6): HOLD},
    "microsoft": {("ca", None): MISSING, ("ca", 0): UNSPECIFIED},
    "offline-ca": {key: code for key, code in TLS.items() if key[0] == "ca"},
    "lab": {},
}
REASONS = (None, 0, 1, 2, 3, 4, 5, 6, 9, 10)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("kind", ["end-entity", "ca"])
def test_each_profile_forbids_what_its_standard_does_and_nothing_more(desk: Desk, profile: str, kind: str) -> None:
    if (profile, kind) == ("offline-ca", "end-entity"):
        return  # no row at all
    desk.profiles = {3: PROFILES[profile]}
    data = table(
        len(REASONS),
        status=pa.array([1] * len(REASONS)),
        revoked_at=pa.array([REVOKED_AT] * len(REASONS), UTC_MS),
        reason=pa.array(REASONS, pa.int8()),
        kind=pa.array([kind] * len(REASONS)),
    )

    snapshot, [batch] = desk.read(data)

    expected = {code: reason for (of, reason), code in FORBIDDEN[profile].items() if of == kind}
    found = {one.code: one for one in snapshot.findings()}
    assert set(found) == set(expected)
    for code, reason in expected.items():
        row = REASONS.index(reason) + 1
        said = "null" if reason is None else str(reason)
        assert (found[code].severity, found[code].count) == ("error", 1)
        assert found[code].examples == (f"{desk.folder}/s.parquet, row {row}, reason, {said}",)
    assert len(batch) == len(REASONS), "they can be published as they are, if somebody accepts that"


@pytest.mark.parametrize("kind", [None, pa.array([None, ""], pa.string())])
def test_rows_that_do_not_say_what_they_are_count_as_end_entities(desk: Desk, kind: "pa.StringArray | None") -> None:
    desk.profiles = {3: PROFILES["strict"]}
    changes = {} if kind is None else {"kind": kind}
    revoked_at = pa.array([REVOKED_AT, REVOKED_AT], UTC_MS)

    found = desk.findings(table(2, status=pa.array([1, 1]), revoked_at=revoked_at, reason=pa.array([2, 6]), **changes))

    assert {code: one.count for code, one in found.items()} == {CA_COMPROMISE: 1, HOLD: 1}


def test_the_reason_of_a_row_that_is_not_revoked_is_nobodys_business(desk: Desk) -> None:
    desk.profiles = {3: PROFILES["strict"]}

    assert desk.findings(table(3, reason=pa.array([6, 2, 10], pa.int8()))) == {}


def test_each_issuer_has_its_own_rules(desk: Desk) -> None:
    desk.issuers = {"tls": 0, "mail": 1, "other": 4}
    desk.profiles = {0: PROFILES["strict"], 1: PROFILES["cabf-smime"]}
    data = table(
        3,
        status=pa.array([1] * 3),
        revoked_at=pa.array([REVOKED_AT] * 3, UTC_MS),
        reason=pa.array(["certificateHold"] * 3),
        issuer=pa.array(["other", "mail", "tls"]),
    )

    found = desk.findings(data)

    assert found[HOLD].examples == (f"{desk.folder}/s.parquet, row 3, reason, 'certificateHold'",)
    assert "cabf-smime" in found[HOLD].message
    assert "docs/profiles.md" in found[HOLD].message


def test_offline_ca_is_for_certificates_of_cas_alone(desk: Desk) -> None:
    desk.profiles = {3: PROFILES["offline-ca"]}
    kinds = pa.array(["ca", "end-entity", None, "", "ca"])

    snapshot, [batch] = desk.read(table(5, kind=kinds))

    [finding] = snapshot.findings()
    assert (finding.code, finding.count, batch.row.tolist()) == ("row.kind.end-entity", 3, [0, 4])
    assert finding.examples[0] == f"{desk.folder}/s.parquet, row 2, kind, 'end-entity'"
    assert 'export kind = "ca"' in finding.message


def test_offline_ca_wants_to_be_told_what_rows_are(desk: Desk) -> None:
    desk.profiles = {3: PROFILES["offline-ca"]}

    assert desk.findings(table(2))["row.kind.end-entity"].count == 2


def test_what_an_offline_ca_leaves_out_may_be_of_any_kind(desk: Desk) -> None:
    desk.profiles = {3: PROFILES["offline-ca"]}
    data = table(2, kind=pa.array(["ca", "end-entity"]), needs_ocsp=pa.array([True, False]))

    assert desk.findings(data) == {}


def test_an_index_txt_cannot_say_that_its_lines_are_of_cas(desk: Desk) -> None:
    desk.profiles = {3: PROFILES["offline-ca"]}
    path = desk.folder / "index.txt"
    path.write_bytes(b"V\t270101000000Z\t\t0D\tunknown\t/CN=d\n")

    snapshot = desk.open(path, as_of=AS_OF, config=SnapshotConfig(kind="index-txt"))

    assert sum(len(batch) for batch in snapshot.batches()) == 0
    finding = next(one for one in snapshot.findings() if one.severity == "error")
    assert finding.code == "row.kind.end-entity"
    assert "pregen import" in finding.message
