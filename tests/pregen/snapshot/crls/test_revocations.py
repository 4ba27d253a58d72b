import pickle
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen import clock
from pregen.errors import Finding
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE, NO_REASON, CrlIssuer, RowStatus
from pregen.snapshot.crls.revocations import _FACTORS, Revocations
from pregen.snapshot.crls.union import open_revocations
from tests.pki import DAY, NOW, make_issuer, shared_key
from tests.pregen.snapshot.crls.authority import REVOKED_AT, Entry, built, crl_issuer, forged, many, pem, write

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

ISSUER = make_issuer(key=shared_key())
OTHER = make_issuer("Another CA")
ISSUERS = (crl_issuer(ISSUER, 3), crl_issuer(OTHER, 0, "other"))
ONE = ISSUERS[:1]
SINCE_EVER = np.full(4, NO_ISSUANCE)  # not_before, by issuer, where rows do not say it


def opened(folder: Path, *ders: bytes, issuers: Sequence[CrlIssuer] = ONE) -> tuple[Revocations, list[Finding]]:
    for i, der in enumerate(ders):
        write(folder, f"{i}.crl", der)
    revocations, _, findings = open_revocations(["*.crl"], folder, issuers, clock.seconds(NOW))
    return revocations, findings


def octets(*serials: int) -> pa.BinaryArray:
    sizes = ((one if one >= 0 else ~one).bit_length() // 8 + 1 for one in serials)
    array = pa.array([n.to_bytes(s, "big", signed=True) for n, s in zip(serials, sizes, strict=True)], pa.binary())
    assert isinstance(array, pa.BinaryArray)
    return array


def statuses(revocations: Revocations, *serials: int, issuer: int = 3) -> list[tuple[int, int, int, bool]]:
    """Return status, time, reason and whether one is given."""
    found = revocations.find(octets(*serials), np.full(len(serials), issuer, np.int32))
    return list(zip(*(column.tolist() for column in revocations.statuses(found)), strict=True))


GOOD_ROW = (GOOD, 0, NO_REASON, False)
AT = clock.seconds(REVOKED_AT)


def test_a_certificate_has_the_time_and_the_reason_of_its_entry(tmp_path: Path) -> None:
    entries = [Entry(serial=5, reason=1), Entry(serial=-5, at=REVOKED_AT - DAY), Entry(serial=2**167 - 1, reason=0)]
    revocations, findings = opened(tmp_path, forged(ISSUER, entries))

    assert findings == []
    assert statuses(revocations, 5, 6, -5, 251, 2**167 - 1) == [
        (REVOKED, AT, 1, True),
        GOOD_ROW,
        (REVOKED, AT - 86_400, NO_REASON, False),
        GOOD_ROW,  # 00 fb, where the one that is revoked is fb
        (REVOKED, AT, NO_REASON, True),
    ]


def test_a_serial_is_revoked_for_its_issuer_alone(tmp_path: Path) -> None:
    revocations, findings = opened(tmp_path, built(ISSUER, [5]), built(OTHER, [6]), issuers=ISSUERS)

    assert findings == []
    assert [row[0] for row in statuses(revocations, 5, 6, issuer=3)] == [REVOKED, GOOD]
    assert [row[0] for row in statuses(revocations, 5, 6, issuer=0)] == [GOOD, REVOKED]


def test_a_crl_without_entries_makes_everybody_good(tmp_path: Path) -> None:
    revocations, findings = opened(tmp_path, built(ISSUER))

    assert (len(revocations), findings) == (0, [])
    assert statuses(revocations, 1, 2) == [GOOD_ROW] * 2
    assert revocations.find(octets(), np.empty(0, np.int32)).tolist() == []
    assert revocations.unlisted([], SINCE_EVER) == ()


def test_a_delta_adds_changes_and_removes(tmp_path: Path) -> None:
    base = forged(ISSUER, [Entry(serial=1, reason=6), Entry(serial=2, reason=6), Entry(serial=3, reason=4)])
    changes = [Entry(serial=1, reason=8), Entry(serial=2, reason=1), Entry(serial=4, reason=5)]

    revocations, findings = opened(tmp_path, base, forged(ISSUER, changes, number=8, base_number=7))

    assert findings == []
    assert [row[2] for row in statuses(revocations, 1, 2, 3, 4)] == [NO_REASON, 1, 4, 5]
    assert [row[0] for row in statuses(revocations, 1, 2, 3, 4)] == [GOOD, REVOKED, REVOKED, REVOKED]


def test_what_is_removed_in_one_part_stays_revoked_in_another(tmp_path: Path) -> None:
    base, delta = (
        forged(ISSUER, [Entry(serial=1, reason=6)]),
        forged(ISSUER, [Entry(serial=1, reason=8)], number=8, base_number=7),
    )
    part = forged(ISSUER, [Entry(serial=1), Entry(serial=2)], scope={"only_contains_user_certs": True})

    revocations, findings = opened(tmp_path, base, delta, part)

    assert findings == []
    assert [row[0] for row in statuses(revocations, 1, 2)] == [REVOKED, REVOKED]


def test_of_two_parts_that_differ_the_newer_one_counts(tmp_path: Path) -> None:
    old = forged(ISSUER, [Entry(serial=1, reason=6)], this_update=NOW - DAY)
    new = forged(ISSUER, [Entry(serial=1, reason=1)], scope={"only_contains_user_certs": True})

    for order in ((old, new), (new, old)):
        revocations, _ = opened(tmp_path, *order)
        assert [row[2] for row in statuses(revocations, 1)] == [1]


def test_a_removal_in_a_base_is_an_error(tmp_path: Path) -> None:
    _, findings = opened(tmp_path, forged(ISSUER, [Entry(serial=0xAB, reason=8), Entry(serial=2)]))

    (finding,) = findings
    assert (finding.code, finding.severity, finding.count) == ("crl.entry", "error", 1)
    assert finding.examples == (f"{tmp_path / '0.crl'}, serial, ab",)


def test_entries_that_cannot_be_used_are_counted_with_examples(tmp_path: Path) -> None:
    many = [Entry(serial=serial, extensions=(("1.2.3.4", True, b"\x05\x00"),)) for serial in range(25)]

    _, findings = opened(tmp_path, forged(ISSUER, [*many, Entry(serial=99, reason=7)]))

    found = {finding.code: finding for finding in findings}
    assert set(found) == {"crl.critical-extension", "crl.entry"}
    assert (found["crl.critical-extension"].count, len(found["crl.critical-extension"].examples)) == (25, 20)
    assert all(finding.severity == "error" for finding in findings)


def test_an_entry_that_was_revoked_after_the_crl_counts_with_a_warning(tmp_path: Path) -> None:
    made = NOW - timedelta(hours=1)
    entries = [Entry(serial=1, at=made + timedelta(minutes=5)), Entry(serial=2, at=made + timedelta(minutes=6))]

    revocations, findings = opened(tmp_path, forged(ISSUER, entries, this_update=made))

    assert [(one.code, one.severity, one.count) for one in findings] == [("crl.entry-late", "warning", 1)]
    assert [row[0] for row in statuses(revocations, 1, 2)] == [REVOKED, REVOKED]


def test_files_globs_and_pem_are_read_and_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "both.pem", pem(built(ISSUER, [1]), built(OTHER, [2])))
    now = clock.seconds(NOW)

    revocations, earliest, findings = open_revocations(["both.pem", "*.pem"], tmp_path, ISSUERS, now)
    assert (len(revocations), earliest, findings) == (2, now - 3_600, [])

    _, earliest, findings = open_revocations(["none/*.crl"], tmp_path, ONE, now)
    assert earliest is None
    assert {finding.code for finding in findings} == {"crl.unreadable", "crl.missing"}


@pytest.mark.parametrize(
    ("kind", "severity", "says"),
    [("user", "warning", "if there are any"), ("ca", "error", "export a column kind")],
)
def test_what_the_crls_do_not_cover_is_told_when_they_are_opened_unless_rows_can_tell(
    tmp_path: Path, kind: str, severity: str, says: str
) -> None:
    write(tmp_path, "0.crl", forged(ISSUER, scope={f"only_contains_{kind}_certs": True}))

    for lists_cas in (False, True):
        revocations, _, findings = open_revocations(["*.crl"], tmp_path, ONE, clock.seconds(NOW), lists_cas=lists_cas)

        told = [(one.code, one.severity) for one in findings]
        assert told == ([] if lists_cas else [("crl.scope", severity)])
        assert all(says in one.message for one in findings)
        assert len(revocations.uncovered) == lists_cas


def test_entries_without_a_row_are_a_warning_with_file_serial_and_time(tmp_path: Path) -> None:
    revocations, _ = opened(tmp_path, forged(ISSUER, [Entry(serial=serial) for serial in (-2, 10, 11, 12)]))
    issuer = np.full(2, 3, np.int32)
    readings = [np.unique(revocations.find(octets(10, one), issuer)).astype(np.int32) for one in (11, 12)]

    (finding,) = revocations.unlisted(readings, SINCE_EVER)

    assert (finding.code, finding.severity, finding.count) == ("crl.not-issued", "warning", 1)
    assert finding.examples == (f"{tmp_path / '0.crl'}, serial, -2, revoked {clock.text(REVOKED_AT)}",)
    assert revocations.unlisted([np.arange(4, dtype=np.int32)], SINCE_EVER) == ()


def test_revocations_travel_to_workers(tmp_path: Path) -> None:
    revocations, _ = opened(tmp_path, built(ISSUER, [1, 2**100]))

    assert statuses(pickle.loads(pickle.dumps(revocations)), 1, 2, 2**100) == statuses(revocations, 1, 2, 2**100)


KEYS = st.tuples(st.integers(-4, 4) | st.integers(-(2**167), 2**167 - 1), st.sampled_from([0, 3]))


@settings(max_examples=25)
@given(revoked=st.sets(KEYS, max_size=12), asked=st.lists(KEYS, max_size=30))
def test_exactly_those_are_found_that_a_set_holds(
    tmp_path_factory: pytest.TempPathFactory, revoked: set[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("crls", numbered=True)
    ders = [
        forged(party, [Entry(serial=serial) for serial, issuer in sorted(revoked) if issuer == index])
        for party, index in ((ISSUER, 3), (OTHER, 0))
    ]
    revocations, _ = opened(folder, *ders, issuers=ISSUERS)
    rows = [*asked, *sorted(revoked)]

    found = revocations.find(octets(*(serial for serial, _ in rows)), np.array([i for _, i in rows], np.int32))

    assert (found >= 0).tolist() == [row in revoked for row in rows]
    assert len(set(found[found >= 0].tolist())) == len(revoked)


def test_entries_of_one_hash_are_told_apart(tmp_path: Path) -> None:
    """Such serials exist, and a CA may be made to issue them: it costs time, never an answer."""
    serials = [_colliding(upper) for upper in range(1, 6)]
    revocations, _ = opened(tmp_path, forged(ISSUER, [Entry(serial=serial) for serial in serials[:4]]))
    assert len(set(revocations.hashes.tolist())) == 1

    found = revocations.find(octets(*serials, 1), np.full(6, 3, np.int32)).tolist()

    assert sorted(found[:4]) == [0, 1, 2, 3]
    assert found[4:] == [-1, -1]


def _colliding(upper: int) -> int:
    """Return a serial of 16 octets whose hash is that of all others made here: the lower half undoes the upper."""
    mask = 2**64 - 1
    state = 4 * int(_FACTORS[3]) & mask  # of issuer 3
    for word, factor in ((0, int(_FACTORS[0])), (upper, int(_FACTORS[1]))):
        state = (state ^ word) * factor & mask
        state ^= state >> 29
    return upper << 64 | state ^ 12_345


@pytest.mark.slow
def test_a_million_entries_take_seconds_and_a_row_a_fraction_of_a_microsecond(tmp_path: Path) -> None:
    _check_speed(tmp_path, entries=1_000_000, rows=2_000_000)


def test_many_entries_take_milliseconds(tmp_path: Path) -> None:
    _check_speed(tmp_path, entries=2_000, rows=200_000)


def _check_speed(folder: Path, *, entries: int, rows: int) -> None:
    revocations, _ = opened(folder, many(ISSUER, [1_000 * one for one in range(entries)]))
    serial = octets(*range(2**40, 2**40 + rows - 1), 1_000)
    issuer = np.full(rows, 3, np.int32)
    started = time.process_time()
    found = revocations.find(serial, issuer)

    assert np.count_nonzero(found >= 0) == 1
    assert (time.process_time() - started) / rows < 2e-6


@pytest.mark.parametrize(("reason", "status"), [(6, GOOD), (1, REVOKED), (0, REVOKED), (None, REVOKED)])
def test_only_a_hold_can_be_taken_back(tmp_path: Path, reason: int | None, status: int) -> None:
    base = forged(ISSUER, [Entry(serial=0xAB, reason=reason), Entry(serial=9, reason=6)])
    changes = [Entry(serial=0xAB, reason=8), Entry(serial=0xCD, reason=8), Entry(serial=9, reason=8)]

    revocations, findings = opened(tmp_path, base, forged(ISSUER, changes, number=8, base_number=7))

    assert [row[0] for row in statuses(revocations, 0xAB, 0xCD, 9)] == [status, GOOD, GOOD]
    assert statuses(revocations, 0xAB)[0][2] == (1 if reason == 1 else NO_REASON)
    told = [(one.code, one.severity, one.count, one.examples) for one in findings]
    assert told == ([] if status == GOOD else [("crl.not-held", "warning", 1, (f"{tmp_path / '1.crl'}, serial, ab",))])


@pytest.mark.parametrize(("reason", "status"), [(6, GOOD), (1, REVOKED)])
def test_a_removal_that_stands_there_twice_takes_back_no_more_than_one(
    tmp_path: Path, reason: int, status: int
) -> None:
    base = forged(ISSUER, [Entry(serial=5, reason=reason)] * 2)
    removals = forged(ISSUER, [Entry(serial=5, reason=8)] * 2, number=8, base_number=7)

    revocations, findings = opened(tmp_path, base, removals)

    assert statuses(revocations, 5)[0][0] == status
    assert [(one.code, one.count) for one in findings] == ([] if status == GOOD else [("crl.not-held", 1)])


def test_of_many_entries_that_are_taken_back_wrongly_the_first_are_named(tmp_path: Path) -> None:
    serials = range(1, 26)
    removals = forged(ISSUER, [Entry(serial=one, reason=8) for one in serials], number=8, base_number=7)

    _, (finding,) = opened(tmp_path, forged(ISSUER, [Entry(serial=one) for one in serials]), removals)

    assert (finding.code, finding.count) == ("crl.not-held", 25)
    assert finding.examples == tuple(f"{tmp_path / '1.crl'}, serial, {one:x}" for one in range(1, 21))


def test_a_certificate_with_many_entries_that_differ_is_counted_once(tmp_path: Path) -> None:
    entries = [Entry(serial=serial, reason=reason) for reason in (1, 4, 1) for serial in (0xAB, 5)]

    _, (finding,) = opened(tmp_path, forged(ISSUER, entries))

    assert (finding.code, finding.count) == ("crl.repeated", 2)
    assert finding.examples == (f"{tmp_path / '0.crl'}, serial, ab", f"{tmp_path / '0.crl'}, serial, 5")


def test_entries_of_one_certificate_that_differ_are_an_error(tmp_path: Path) -> None:
    other = [Entry(serial=serial, at=REVOKED_AT - DAY) for serial in (0xAB, 5)]
    same = [Entry(serial=7), Entry(serial=7)]

    _, findings = opened(tmp_path, forged(ISSUER, [Entry(serial=0xAB), Entry(serial=5), *same, *other]))

    (finding,) = findings
    assert (finding.code, finding.severity, finding.count) == ("crl.repeated", "error", 2)
    assert finding.examples == (f"{tmp_path / '0.crl'}, serial, ab", f"{tmp_path / '0.crl'}, serial, 5")


@pytest.mark.parametrize(("late", "severity"), [(DAY, "warning"), (DAY + timedelta(seconds=1), "error")])
def test_an_entry_a_day_after_this_update_is_an_error(tmp_path: Path, late: timedelta, severity: str) -> None:
    made = NOW - 3 * DAY
    _, findings = opened(tmp_path, forged(ISSUER, [Entry(serial=5, at=made + late)], this_update=made))

    assert [(one.code, one.severity) for one in findings] == [("crl.entry-late", severity)]
    assert clock.text(clock.seconds(made)) in findings[0].message
    assert findings[0].examples == (f"{tmp_path / '0.crl'}, serial, 5, revoked {clock.text(made + late)}",)


@pytest.mark.parametrize(("listed", "severity"), [(0, "error"), (1, "warning")])
@pytest.mark.parametrize("count", [2, 10])
def test_that_no_entry_of_an_issuer_has_a_row_is_an_error(
    tmp_path: Path, count: int, listed: int, severity: str
) -> None:
    mine, others = built(ISSUER, range(1, count + 1)), built(OTHER, range(1, 21))
    revocations, _ = opened(tmp_path, mine, others, issuers=ISSUERS)
    of_other = np.flatnonzero(revocations.issuer == 0).astype(np.int32)
    of_mine = np.flatnonzero(revocations.issuer == 3).astype(np.int32)[:listed]

    (finding,) = revocations.unlisted([of_other, of_mine], SINCE_EVER)

    code = "crl.none-listed" if severity == "error" else "crl.not-issued"
    assert (finding.code, finding.severity, finding.count) == (code, severity, count - listed)
    assert all(f"{tmp_path / '0.crl'}, serial, " in example for example in finding.examples)


@pytest.mark.parametrize(
    ("of_issuer", "of_others", "codes"),
    [
        (REVOKED_AT - DAY, None, {"crl.none-listed": 2, "crl.not-issued": 1}),
        (REVOKED_AT + DAY, None, {"crl.none-listed": 2, "crl.not-issued": 1}),
        (REVOKED_AT + DAY + timedelta(seconds=1), None, {"crl.none-listed": 1, "crl.not-issued": 2}),
        (REVOKED_AT + 3 * DAY, REVOKED_AT - 9 * DAY, {"crl.not-issued": 3}),
        (None, REVOKED_AT - 9 * DAY, {"crl.none-listed": 3}),
        (None, REVOKED_AT + 3 * DAY, {"crl.not-issued": 3}),
    ],
)
def test_entries_that_are_older_than_all_rows_are_of_certificates_that_have_expired(
    tmp_path: Path, of_issuer: datetime | None, of_others: datetime | None, codes: dict[str, int]
) -> None:
    """With a day for zones and dates; an issuer without rows may have some that are called another one's."""
    entries = [Entry(serial=at, at=REVOKED_AT + days * DAY) for at, days in ((1, -5), (2, 0), (3, 1))]
    revocations, _ = opened(tmp_path, forged(ISSUER, entries))
    oldest = SINCE_EVER.copy()
    for issuer, at in ((3, of_issuer), (0, of_others)):
        oldest[issuer] = NO_EXPIRY if at is None else clock.seconds(at)
    oldest[1:3] = NO_EXPIRY

    assert {one.code: one.count for one in revocations.unlisted([], oldest)} == codes
