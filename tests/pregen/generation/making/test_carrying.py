"""What is carried over from the current generation, and what is signed anew, night after night."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pregen import clock
from pregen.clock import seconds
from pregen.gates import Acceptance
from pregen.gates.acceptance import read_acceptances
from pregen.generation import Published
from pregen.generation.rows import sharding
from pregen.snapshot import RowStatus
from tests import pki
from tests.pregen.generation.nights import Nights
from tests.pregen.generation.workshop import FEW_SIZES, NOW, Row, plain_rows, various_rows

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

NOW_S = seconds(NOW)
DAY_S = 86_400
AT_ONCE = "spread = false"


def unchanged(published: Published) -> int:
    """Return how many records were carried over, or are in packs that stay."""
    return published.reasons.carried + published.kept


def signed(published: Published) -> dict[str, int]:
    """Return how many rows were signed for each reason that there was."""
    return {name: count for name, count in published.reasons.signed.items() if count}


def accepting(*codes: str) -> tuple[Acceptance, ...]:
    return read_acceptances(codes, ["it is a test"], "tester")


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path, refresh=AT_ONCE)


@pytest.fixture
def rows() -> list[Row]:
    return various_rows(120)


def test_the_first_run_signs_everything_and_the_second_one_nothing(nights: Nights, rows: list[Row]) -> None:
    first = nights.publish(0, rows)
    assert signed(first) == {"all": 120}
    assert first.reasons.differs == {"first-run": 120}
    assert first.reasons.octets_read == 0
    before = nights.answers(rows)
    second = nights.publish(1, rows)
    assert (signed(second), unchanged(second)) == ({}, 120)
    assert (second.kept, second.reasons.octets_read) == (120, 0)
    assert [{oid: one and one.der for oid, one in each.items()} for each in nights.answers(rows)] == [
        {oid: one and one.der for oid, one in each.items()} for each in before
    ]
    nights.check(1, rows)


def test_full_signs_everything_and_says_why(nights: Nights, rows: list[Row]) -> None:
    nights.publish(0, rows)
    published = nights.publish(1, rows, full=True)
    assert signed(published) == {"all": 120}
    assert published.reasons.differs == {"full": 120}
    nights.check(1, rows)


def test_new_rows_are_signed_and_rows_that_are_gone_take_nothing_with_them(nights: Nights, rows: list[Row]) -> None:
    nights.publish(0, rows)
    later = [*rows[10:], *plain_rows(7)]
    published = nights.publish(1, later, accept=accepting("shrink", "unrevoke"))
    assert (signed(published), unchanged(published)) == ({"new": 7}, 110)
    nights.check(1, later)
    assert [answer for one in nights.answers(rows[:10]) for answer in one.values()] == [None] * 20


def test_new_rows_lie_among_those_that_are_carried_over_where_their_window_is_the_same(
    nights: Nights, rows: list[Row]
) -> None:
    nights.publish(0, rows)
    later = [*plain_rows(20), *rows]
    published = nights.publish(0, later)
    assert (signed(published), published.reasons.carried) == ({"new": 20}, 120)
    nights.check(0, later)


CHANGES: dict[str, tuple[Row, Row]] = {
    "a revocation": (Row(b"\x11" * 16), Row(b"\x11" * 16, REVOKED, NOW_S - 5, 1)),
    "a revocation without a reason": (Row(b"\x11" * 16), Row(b"\x11" * 16, REVOKED, NOW_S - 5)),
    "its time": (Row(b"\x11" * 16, REVOKED, NOW_S - 9, 1), Row(b"\x11" * 16, REVOKED, NOW_S - 5, 1)),
    "its time without a reason": (Row(b"\x11" * 16, REVOKED, NOW_S - 9), Row(b"\x11" * 16, REVOKED, NOW_S - 5)),
    "its reason": (Row(b"\x11" * 16, REVOKED, NOW_S - 9, 1), Row(b"\x11" * 16, REVOKED, NOW_S - 9, 4)),
    "a reason where there was none": (Row(b"\x11" * 16, REVOKED, NOW_S - 9), Row(b"\x11" * 16, REVOKED, NOW_S - 9, 4)),
    "no reason any more": (Row(b"\x11" * 16, REVOKED, NOW_S - 9, 4), Row(b"\x11" * 16, REVOKED, NOW_S - 9)),
    "the end of a hold": (Row(b"\x11" * 16, REVOKED, NOW_S - 9, 6), Row(b"\x11" * 16, GOOD)),
    "unknown, then good": (Row(b"\x11" * 16, 2), Row(b"\x11" * 16, GOOD)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_a_row_is_signed_alone(nights: Nights, change: str) -> None:
    rows, (before, after) = various_rows(120, sizes=FEW_SIZES), CHANGES[change]
    nights.publish(0, [*rows, before])
    published = nights.publish(0.5, [*rows, after])
    assert (signed(published), unchanged(published)) == ({"changed": 1}, 120)
    nights.check(0.5, [*rows, after])


def test_another_not_after_alone_changes_no_answer(nights: Nights, rows: list[Row]) -> None:
    nights.publish(0, [row._replace(not_after=NOW_S + 90 * DAY_S) for row in rows])
    later = [row._replace(not_after=NOW_S + 91 * DAY_S) for row in rows]
    published = nights.publish(1, later, accept=accepting("shrink"))
    assert (signed(published), unchanged(published)) == ({}, 120)


def roll_responder(nights: Nights) -> None:
    nights.new_responder()


def renew_responder(nights: Nights) -> None:
    made = pki.make_responder(
        nights.authorities[0], "Example OCSP 0", key=nights.responders[0].key, not_after=NOW + timedelta(days=80)
    )
    made.write(nights.folder, "ocsp0")


def name_responder(nights: Nights) -> None:
    nights.issuers[0]["responder_id"] = "by-name"


def combine(nights: Nights) -> None:
    nights.issuers[0]["cert_ids"] = "combined"


def ask_by_sha1_alone(nights: Nights) -> None:
    nights.issuers[0]["cert_ids"] = "sha1"


def pad_otherwise(nights: Nights) -> None:
    nights.issuers[0]["rsa_padding"] = "pss"


def live_longer(nights: Nights) -> None:
    nights.validity = nights.validity.replace("7d", "8d")


def live_shorter(nights: Nights) -> None:
    nights.validity = nights.validity.replace("7d", "5d")


def begin_earlier(nights: Nights) -> None:
    nights.validity += '\nbackdate = "1h"'


def end_issuer(nights: Nights) -> None:
    ca = nights.authorities[0]
    short = pki.make_issuer("Example Root R0", key=ca.key, not_after=NOW + timedelta(days=6))
    short.write(nights.folder, "ca0")


TERMS: dict[str, tuple[Callable[[Nights], None], str]] = {
    "the responder, with its key": (roll_responder, "responder-certificate"),
    "the certificate of the responder": (renew_responder, "responder-certificate"),
    "the kind of responder id": (name_responder, "responder-id"),
    "the layout of CertIDs": (combine, "cert-ids"),
    "the hashes of CertIDs": (ask_by_sha1_alone, "cert-ids"),
    "the padding": (pad_otherwise, "algorithm"),
    "a longer lifetime": (live_longer, "lifetime"),
    "a shorter lifetime": (live_shorter, "lifetime"),
    "the backdate": (begin_earlier, "backdate"),
    "the end of the issuer's certificate": (end_issuer, "lifetime"),
}


@pytest.mark.parametrize("term", TERMS)
def test_each_change_of_the_terms_has_everything_of_that_issuer_signed(tmp_path: Path, term: str) -> None:
    change, why = TERMS[term]
    key: pki.KeyKind = "rsa2048" if change is pad_otherwise else "p256"
    nights = Nights(tmp_path, [{}, {}], key=key, refresh=AT_ONCE)
    rows = various_rows(72, issuers=2, sizes=FEW_SIZES)
    nights.issuers[1]["validity"] = '{ lifetime = "9d", backdate = "2h" }'
    nights.publish(0, rows)
    change(nights)
    published = nights.publish(1, rows)
    assert (signed(published), unchanged(published)) == ({"all": 36}, 36)
    assert published.reasons.differs == {why: 36}
    if change not in {combine, ask_by_sha1_alone, pad_otherwise}:
        nights.check(1, rows)
    again = nights.publish(1.1, rows)
    assert (signed(again), unchanged(again)) == ({}, 72)


def test_another_profile_has_everything_signed_even_where_it_asks_for_the_same_windows(tmp_path: Path) -> None:
    """`cabf-tls` and `cabf-smime` give windows of 4 days the same rules."""
    now = clock.now()
    nights = Nights(tmp_path, validity='profile = "cabf-tls"\nlifetime = "4d"', refresh=AT_ONCE)
    rows = plain_rows(40)
    nights.publish(0, rows, now=None, as_of=now)
    same = nights.publish(0, rows, now=None, as_of=now)
    assert (signed(same), unchanged(same)) == ({}, 40)
    nights.validity = nights.validity.replace("cabf-tls", "cabf-smime")
    other = nights.publish(0, rows, now=None, as_of=now)
    assert (signed(other), other.reasons.differs) == ({"all": 40}, {"profile": 40})


@pytest.mark.parametrize("damage", ["another octet", "missing", "another pack", "cut off"])
def test_nothing_is_carried_over_from_a_pack_that_is_not_the_manifests(tmp_path: Path, damage: str) -> None:
    nights = Nights(tmp_path, refresh=AT_ONCE)
    rows = various_rows(120, sizes=FEW_SIZES)
    nights.publish(0, rows)
    (shard,) = nights.generation.manifest.shards
    octets = bytearray(nights.store.get(shard.pack))
    if damage == "missing":
        nights.store.delete([shard.pack])
    elif damage == "cut off":
        nights.store.put(shard.pack, octets[:-1])
    else:
        octets[len(octets) // 2] ^= 1
        nights.store.put(shard.pack, octets if damage == "another octet" else b"")
    rows.append(Row(b"\x21 a new one"))  # else the pack stays, unread
    published = nights.publish(1, rows)
    assert (signed(published), unchanged(published)) == ({"all": 121}, 0)
    assert published.reasons.differs == {"pack": 121}
    (warning,) = [one for one in published.warnings if one.code == "carry.damaged"]
    assert warning.examples[0].startswith(shard.pack)
    nights.check(1, rows)


def test_what_is_due_is_signed(nights: Nights, rows: list[Row]) -> None:
    """Under `lab`, windows of 7 days are to be replaced at half: after two nights, the next run would be too late."""
    nights.publish(0, rows)
    assert [signed(nights.publish(night, rows)) for night in (1, 2)] == [{}, {}]
    assert signed(nights.publish(3, rows)) == {"due": 120}
    assert signed(nights.publish(3.4, rows)) == {}
    nights.check(3.4, rows)


def test_what_failed_runs_would_let_run_out_is_due(tmp_path: Path) -> None:
    nights = Nights(tmp_path, refresh=f"{AT_ONCE}\nmissed_runs = 4")
    rows = plain_rows(30)
    nights.publish(0, rows)
    assert [signed(nights.publish(night, rows)) for night in (1, 2)] == [{}, {"due": 30}]


def test_the_work_of_a_cycle_is_spread_over_its_nights(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    rows = plain_rows(900)
    nights.publish(0, rows)
    counts = []
    for night in range(1, 6):
        published = nights.publish(night, rows)
        counts.append(sum(signed(published).values()))
        assert not signed(nights.publish(night + 0.3, rows)), "two runs of one period are one"
    assert all(240 < count < 360 for count in counts)
    nights.check(5.3, rows)


def test_a_record_that_was_made_in_this_period_is_not_signed_again(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    rows = plain_rows(300)
    nights.publish(0.1, rows)
    assert signed(nights.publish(0.9, rows)) == {}


def test_bounds_of_shards_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = Nights(tmp_path, refresh=AT_ONCE)
    rows = various_rows(300, sizes=FEW_SIZES)
    seen = set()
    for night, size in enumerate((300, 20, 90, 40, 299)):
        monkeypatch.setattr(sharding, "SHARD_ROWS", size)
        published = nights.publish(night / 10, rows)
        seen.add(tuple(shard.low for shard in nights.generation.manifest.shards))
        assert (signed(published), unchanged(published)) == (({}, 300) if night else ({"all": 300}, 0))
    assert len(seen) >= 3
    nights.check(0.4, rows)


def test_windows_of_many_nights_lie_side_by_side_and_do_not_grow(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    seen, rows = [], various_rows(60, sizes=FEW_SIZES)
    for night in range(8):
        rows += [row._replace(serial=b"\x21" + bytes([night]) + row.serial[2:]) for row in plain_rows(3)]
        nights.publish(night, rows)
        (name,) = {shard.windows for shard in nights.generation.manifest.shards}
        tables = nights.generation.tables[name].tables
        assert len(set(tables.windows)) == len(tables.windows)
        assert [run.shape for run in tables.runs] == sorted(run.shape for run in tables.runs)
        seen.append((len(tables.windows), len(tables.runs)))
    assert max(windows for windows, _ in seen) <= 4
    assert seen[-1][1] <= max(runs for _, runs in seen[3:6])
    assert len(list(nights.store.list("tables/"))) == 1
    nights.check(7, rows)


def test_what_no_record_needs_any_more_is_in_no_windows(tmp_path: Path) -> None:
    """A night that signs all again, though the old answers are not due, leaves nothing of their windows behind."""
    nights = Nights(tmp_path, refresh=AT_ONCE)
    rows = [Row(b"\x11" * 16), Row(b"\x22" * 16)]
    nights.publish(0, rows)
    revoked = [row._replace(status=REVOKED, revoked_at=NOW_S + 5) for row in rows]
    nights.publish(1, [rows[0], revoked[1]])
    nights.publish(2, revoked)
    (name,) = {shard.windows for shard in nights.generation.manifest.shards}
    windows = nights.generation.tables[name].tables.windows
    assert sorted(window.produced_at for window in windows) == [NOW_S + DAY_S, NOW_S + 2 * DAY_S]


def ends(rows: list[Row], seconds_after: list[int]) -> list[Row]:
    return [row._replace(not_after=NOW_S + seconds_after[at % len(seconds_after)]) for at, row in enumerate(rows)]


def test_windows_that_end_with_certificates_are_carried_over_too(tmp_path: Path) -> None:
    nights = Nights(tmp_path, refresh=AT_ONCE, snapshot='keep_expired = "0d"')
    nights.validity += "\nend_with_certificate = true"
    rows = ends(plain_rows(60), [100 * DAY_S, 5 * DAY_S + 3_599, 2 * DAY_S - 1, DAY_S // 2])
    nights.publish(0, rows)
    live = [row for row in rows if row.not_after >= NOW_S + DAY_S]
    published = nights.publish(1, live)
    said = signed(published)
    # Of the certificates that end in a day, a newer answer may end later; all others keep theirs.
    assert set(said) <= {"due"}
    assert said.get("due", 0) <= 15
    assert unchanged(published) == 45 - said.get("due", 0)
    nights.check(1, live)
    for row, answers in zip(live, nights.answers(live), strict=True):
        assert all(answer and answer.next_update <= row.not_after for answer in answers.values())


def test_a_window_that_is_to_end_with_its_certificate_from_now_on_is_signed(tmp_path: Path) -> None:
    nights = Nights(tmp_path, refresh=AT_ONCE)
    rows = ends(plain_rows(40), [100 * DAY_S, 4 * DAY_S])
    nights.publish(0, rows)
    nights.validity += "\nend_with_certificate = true"
    published = nights.publish(1, rows)
    assert (sum(signed(published).values()), unchanged(published)) == (20, 20)
    nights.validity = nights.validity.replace("true", "false")
    published = nights.publish(2, rows)
    assert (signed(published), unchanged(published)) == ({"all": 20}, 20)


def test_another_end_of_the_certificate_changes_a_window_that_ends_with_it(tmp_path: Path) -> None:
    nights = Nights(tmp_path, refresh=AT_ONCE)
    nights.validity += "\nend_with_certificate = true"
    rows = ends(plain_rows(40), [100 * DAY_S, 5 * DAY_S])
    nights.publish(0, rows)
    later = [row._replace(not_after=row.not_after - DAY_S) for row in rows]
    published = nights.publish(1, later, accept=accepting("shrink"))
    assert (signed(published), unchanged(published)) == ({"changed": 20}, 20)
    nights.check(1, later)


def test_answers_for_a_further_key_are_carried_over(tmp_path: Path) -> None:
    nights = Nights(tmp_path, [{}, {}], refresh=AT_ONCE)
    nights.authorities[1] = pki.make_issuer("Example Root R0", key=nights.authorities[1].key)
    nights.authorities[1].write(nights.folder, "ca1")
    nights.new_responder(1)
    nights.issuers[1]["also"] = "r0"
    rows = various_rows(50)
    first = nights.publish(0, rows)
    assert first.committed.responses == 200
    second = nights.publish(1, [*rows[:49], rows[49]._replace(status=REVOKED, revoked_at=NOW_S - 8, reason=1)])
    assert second.reasons.carried == 2 * 49 + 2 * (rows[49].status == REVOKED and rows[49].revoked_at == NOW_S - 8)
    assert signed(second) == {"changed": 2}
    again = [row._replace(issuer=1) for row in rows[:49]]
    nights.check(1, rows[:49])
    nights.check(1, again)


def positive(rows: list[Row]) -> list[Row]:
    return [row._replace(serial=bytes([row.serial[0] & 0x7F | 1]) + row.serial[1:]) for row in rows]


@pytest.mark.parametrize("nights", [4, pytest.param(9, marks=pytest.mark.slow)])
def test_nights_in_sequence_say_what_full_runs_say(tmp_path: Path, nights: int) -> None:
    """New certificates, revocations, holds that end, certificates that expire: each night, in both ways."""
    random = np.random.default_rng(14)
    ways = [Nights(tmp_path / name, [{}, {}]) for name in ("carried", "full")]
    rows = [
        row._replace(not_after=NOW_S + int(random.integers(1, 40)) * DAY_S // 2)
        for row in positive(various_rows(150, issuers=2))
    ]
    for night in range(nights):
        at = NOW_S + night * DAY_S
        new = positive(various_rows(12, issuers=2, seed=100 + night))
        rows = [row for row in rows if row.not_after >= at]
        rows += [
            row._replace(serial=row.serial[:1] + bytes([night]) + row.serial[2:], not_after=at + 20 * DAY_S)
            for row in new
        ]
        for place in random.integers(0, len(rows), 4).tolist():
            if rows[place].status == GOOD:
                rows[place] = rows[place]._replace(status=REVOKED, revoked_at=at - 60, reason=6 if place % 3 else 1)
        held = [place for place, row in enumerate(rows) if row.reason == 6]
        for place in held[:1]:
            rows[place] = rows[place]._replace(status=GOOD, revoked_at=0, reason=-1)
        options = {"accept": accepting("unrevoke", "shrink") if held else ()}
        carried = ways[0].publish(night, rows, **options)
        ways[1].publish(night, rows, full=True, **options)
        assert (carried.reasons.carried > 0) == (night > 0)
        said = [[answer and answer.status for one in way.answers(rows) for answer in one.values()] for way in ways]
        assert said[0] == said[1]
        for way in ways:
            way.check(night, rows)
