from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.errors import MAX_EXAMPLES, VerificationError
from pregen.generation.comparing.tally import ShardCount, add_up
from pregen.generation.rows.counts import Examples, Pair, RowCounts, RowNumber
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.generation.rows.parts import Pieces
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.snapshot import NO_EXPIRY, NO_REASON, RowStatus
from storage.key import key32
from tests.pregen.generation.workshop import Row, load, plain_rows, respooled, serials_of, spool, various_rows

GOOD, REVOKED, UNKNOWN = RowStatus

REVOCATION = Row(b"\x11" * 16, REVOKED, 1_700_000_000, 4)


def load_with_keys(folder: Path, rows: list[Row], keys: list[int]) -> ShardRows:
    """Return rows as if their keys were other ones."""
    (file,) = spool(folder, rows)
    spilled = file.pieces.read()
    spilled["key"] = keys
    return load_shard(respooled(file, spilled))


def load_with_equal_keys(folder: Path, rows: list[Row]) -> ShardRows:
    """Return rows whose 64-bit keys all collide, as no two certificates are known to."""
    return load_with_keys(folder, rows, [7 << 32] * len(rows))


@given(st.integers(0, 2**23 - 1), st.integers(1, 21), st.integers(0, 3), st.just(0) | st.integers(0, 2**31 - 1))
def test_a_group_is_one_number_and_those_of_usual_windows_are_in_the_same_order(
    issuer: int, serial_bytes: int, kind: int, span_s: int
) -> None:
    group = Group(issuer, serial_bytes, kind, span_s)
    assert Group.of_code(group.code) == group
    assert group.code < 2**63
    usual = group._replace(span_s=0)
    assert (usual < Group(5, 16, 2)) == (usual.code < Group(5, 16, 2).code)


def test_rows_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    rows = load(tmp_path, various_rows(500))
    assert serials_of(rows) == sorted((row.serial for row in various_rows(500)), key=lambda s: key32(s, 1))
    assert all(a <= b for a, b in pairwise(rows.key32.tolist()))
    assert [key32(serial, 1) for serial in serials_of(rows)] == rows.key32.tolist()


def test_each_row_keeps_its_own_status_time_and_reason(tmp_path: Path) -> None:
    rows = load(tmp_path, various_rows(500, issuers=2))
    source = {row.serial: row for row in various_rows(500, issuers=2)}
    for at, serial in enumerate(serials_of(rows)):
        group, row = Group.of_code(int(rows.codes[at])), source[serial]
        assert (group.issuer, group.serial_bytes) == (row.issuer, len(serial))
        assert RESPONSE_KINDS[group.kind] == (("good", "revoked", "unknown")[row.status], row.reason >= 0)
        assert (rows.revoked_at[at], rows.reason[at]) == (row.revoked_at, row.reason)


def test_identical_rows_collapse_and_are_counted(tmp_path: Path) -> None:
    rows = load(tmp_path, [REVOCATION, *plain_rows(5), REVOCATION, REVOCATION])
    assert (len(rows.codes), rows.counts.repeated, rows.counts.conflicting) == (6, 2, 0)
    assert serials_of(rows).count(REVOCATION.serial) == 1


def test_the_first_repetitions_are_shown_with_the_rows_that_they_repeat(tmp_path: Path) -> None:
    twice = plain_rows(50)
    rows = load(tmp_path, [*twice, *twice])
    assert rows.counts.repeated == 50
    assert rows.examples.repetitions == tuple(
        Pair(RowNumber(0, number), RowNumber(0, number + 50), twice[number].serial) for number in range(MAX_EXAMPLES)
    )


def test_a_row_that_contradicts_another_or_gets_no_answer_is_no_repetition(tmp_path: Path) -> None:
    good = Row(b"\x05")
    rows = load(
        tmp_path,
        [
            good,
            good._replace(status=UNKNOWN),
            good,
            *[good._replace(serial=b"\x06", status=UNKNOWN, withheld=True)] * 2,
            REVOCATION,
        ],
    )
    assert rows.examples.repetitions == (Pair(RowNumber(0, 0), RowNumber(0, 2), b"\x05"),)
    assert (rows.counts.conflicting, rows.counts.withheld) == (1, 2)


@pytest.mark.parametrize("order", [(100, 300, 200), (300, 100, 200), (100, 200, 300)])
def test_of_identical_rows_the_latest_expiry_counts(tmp_path: Path, order: tuple[int, ...]) -> None:
    rows = [REVOCATION._replace(not_after=not_after) for not_after in order]
    kept, gone = (load(tmp_path / str(limit), rows, expired_before=limit) for limit in (300, 301))
    assert (len(kept.codes), kept.counts.expired, kept.counts.repeated) == (1, 0, 2)
    assert (len(gone.codes), gone.counts.expired, gone.counts.repeated) == (0, 1, 2)


def test_a_repetition_without_an_expiry_never_expires(tmp_path: Path) -> None:
    rows = [REVOCATION._replace(not_after=100), REVOCATION._replace(not_after=NO_EXPIRY)]
    assert len(load(tmp_path, rows, expired_before=2**40).codes) == 1


@pytest.mark.parametrize(
    "other",
    [
        REVOCATION._replace(status=GOOD, revoked_at=0, reason=-1),
        REVOCATION._replace(status=UNKNOWN, revoked_at=0, reason=-1),
        REVOCATION._replace(revoked_at=REVOCATION.revoked_at + 1),
        REVOCATION._replace(reason=1),
        REVOCATION._replace(reason=-1),
    ],
)
def test_rows_of_one_certificate_that_differ_are_a_conflict(tmp_path: Path, other: Row) -> None:
    rows = load(tmp_path, [*plain_rows(3), REVOCATION, *plain_rows(2), other])
    assert rows.counts.conflicting == 1
    (conflict,) = rows.examples.conflicts
    assert conflict == Pair(RowNumber(0, 3), RowNumber(0, 6), REVOCATION.serial)


def test_conflicts_are_all_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    twice = plain_rows(50)
    rows = load(tmp_path, [*twice, *(row._replace(status=UNKNOWN) for row in twice)])
    assert rows.counts.conflicting == 50
    assert len(rows.examples.conflicts) == MAX_EXAMPLES
    assert [conflict.row for conflict in rows.examples.conflicts] == [(0, number) for number in range(MAX_EXAMPLES)]
    assert all(conflict.other.row == conflict.row.row + 50 for conflict in rows.examples.conflicts)
    assert [conflict.serial for conflict in rows.examples.conflicts] == [
        twice[c.row.row].serial for c in rows.examples.conflicts
    ]


def test_rows_of_a_certificate_that_has_expired_need_not_agree(tmp_path: Path) -> None:
    rows = [REVOCATION._replace(not_after=5), REVOCATION._replace(not_after=9, status=GOOD, reason=-1), Row(b"\x01")]

    gone, live = (load(tmp_path / str(limit), rows, expired_before=limit) for limit in (10, 9))

    assert (gone.counts.conflicting, gone.examples.conflicts, gone.counts.expired, gone.counts.repeated) == (
        0,
        (),
        1,
        1,
    )
    assert serials_of(gone) == [b"\x01"]
    assert (live.counts.conflicting, live.counts.expired) == (1, 0), "the last second counts"
    assert load(tmp_path / "kept", rows).counts.conflicting == 1


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("live", [10, NO_EXPIRY])
def test_a_row_that_has_expired_contradicts_one_that_has_not(tmp_path: Path, order: int, live: int) -> None:
    rows = [REVOCATION._replace(not_after=5), REVOCATION._replace(not_after=live, status=GOOD, revoked_at=0, reason=-1)]

    assert load(tmp_path, rows[::order], expired_before=10).counts.conflicting == 1


@pytest.mark.parametrize("says", [REVOKED, UNKNOWN])
def test_what_a_withheld_row_says_of_an_expired_certificate_does_not_matter(tmp_path: Path, says: int) -> None:
    rows = load(tmp_path, [Row(b"\x05", not_after=5), Row(b"\x05", says, withheld=True)], expired_before=10)

    assert (rows.counts.conflicting, rows.counts.expired, rows.counts.withheld, len(rows.codes)) == (0, 1, 1, 0)


@pytest.mark.parametrize("withheld", [0, 1, 2])
@pytest.mark.parametrize("with_equal_keys", [False, True])
def test_a_withheld_row_contradicts_the_others_of_its_certificate(
    tmp_path: Path, withheld: int, *, with_equal_keys: bool
) -> None:
    """Whichever comes first: the certificate must not be published by the rows that are left."""
    mine = [Row(b"\x05", UNKNOWN if at == withheld else GOOD, withheld=at == withheld) for at in range(3)]
    rows = [*mine, Row(b"\x06"), Row(b"\x05", issuer=1)]
    loaded = load_with_equal_keys(tmp_path, rows) if with_equal_keys else load(tmp_path, rows)

    first = 1 if withheld == 0 else 0
    assert loaded.examples.conflicts == (Pair(RowNumber(0, first), RowNumber(0, withheld), b"\x05", is_withheld=True),)
    assert loaded.counts == RowCounts(conflicting=1, withheld=1, repeated=1)
    assert len(loaded.codes) == 3


def test_rows_that_are_all_withheld_are_no_conflict_and_get_no_response(tmp_path: Path) -> None:
    first, second = (Row(b"\x05", status, withheld=True) for status in (UNKNOWN, REVOKED))
    loaded = load(tmp_path, [first, Row(b"\x06"), second], expired_before=9)

    assert serials_of(loaded) == [b"\x06"]
    assert loaded.counts == RowCounts(withheld=2)


@pytest.mark.parametrize("withheld_first", [True, False])
@pytest.mark.parametrize(
    ("says", "published", "conflicts"),
    [
        (GOOD, Row(b"\x05"), 0),
        (GOOD, Row(b"\x05", REVOKED, 7), 0),
        (GOOD, Row(b"\x05", UNKNOWN), 0),
        (REVOKED, Row(b"\x05"), 1),
        (REVOKED, Row(b"\x05", REVOKED, 7), 0),
        (REVOKED, Row(b"\x05", REVOKED, 7, 1), 0),
        (REVOKED, Row(b"\x05", UNKNOWN), 1),
        (UNKNOWN, Row(b"\x05"), 1),
        (UNKNOWN, Row(b"\x05", REVOKED, 7), 1),
        (UNKNOWN, Row(b"\x05", UNKNOWN), 1),
    ],
)
def test_a_withheld_row_is_no_conflict_with_what_it_does_not_contradict(
    tmp_path: Path, says: int, published: Row, conflicts: int, *, withheld_first: bool
) -> None:
    rows = [Row(b"\x05", says, withheld=True), published, published]
    loaded = load(tmp_path, rows if withheld_first else rows[::-1])

    assert (loaded.counts.conflicting, loaded.counts.withheld, loaded.counts.repeated) == (conflicts, 1, 1)
    assert (serials_of(loaded), loaded.revoked_at.tolist()) == ([b"\x05"], [published.revoked_at])


def test_one_serial_of_two_issuers_is_two_certificates(tmp_path: Path) -> None:
    rows = load(tmp_path, [REVOCATION, REVOCATION._replace(issuer=1, status=GOOD, revoked_at=0, reason=-1)])
    assert (len(rows.codes), rows.counts.repeated, rows.counts.conflicting) == (2, 0, 0)
    assert sorted(Group.of_code(code).issuer for code in rows.codes.tolist()) == [0, 1]


def test_equal_keys_of_different_certificates_are_legal(tmp_path: Path) -> None:
    different = [
        Row(b"\x01"),
        Row(b"\x01\x00"),  # as the shorter one, with a zero behind
        Row(b"\x01", issuer=1, status=UNKNOWN),
        Row(b"\x01\x01", REVOKED, 5),
        Row(b"\x7f" * 21),
    ]
    rows = load_with_equal_keys(tmp_path, different)
    assert (len(rows.codes), rows.counts.repeated, rows.counts.conflicting) == (5, 0, 0)
    assert serials_of(rows) == [row.serial for row in different], "ties stay in the order of the snapshot"


def test_among_equal_keys_repetitions_and_conflicts_are_still_found(tmp_path: Path) -> None:
    rows = load_with_equal_keys(
        tmp_path, [Row(b"\x01"), Row(b"\x02"), Row(b"\x01"), Row(b"\x03"), Row(b"\x02", UNKNOWN), Row(b"\x01")]
    )
    assert (rows.counts.repeated, rows.counts.conflicting) == (3, 1)
    assert rows.examples.conflicts == (Pair(RowNumber(0, 1), RowNumber(0, 4), b"\x02"),)
    assert serials_of(rows) == [b"\x01", b"\x02", b"\x03"]


def test_keys_with_equal_upper_halves_are_in_the_order_of_the_lower_ones_whatever_the_snapshots_is(
    tmp_path: Path,
) -> None:
    halves = [(5, 3), (5, 1), (4, 9), (6, 0), (5, 2), (4, 8), (2**32 - 1, 2**32 - 1), (2**32 - 1, 0)]
    rows = load_with_keys(tmp_path, plain_rows(8), [upper << 32 | lower for upper, lower in halves])
    order = sorted(range(8), key=halves.__getitem__)
    assert serials_of(rows) == [plain_rows(8)[at].serial for at in order]
    assert rows.key32.tolist() == [halves[at][0] for at in order]
    assert rows.counts.repeated == 0


def spooled_apart(folder: Path, *parts: list[Row], keys: Sequence[int] = ()) -> ShardFile:
    """Return the shard of rows of several files, each spooled by another router."""
    pieces = []
    for number, rows in enumerate(parts):
        (file,) = spool(folder, rows)
        spilled = file.pieces.read()
        spilled["file"] = number
        if keys:
            spilled["key"] = keys
        pieces.append(respooled(file, spilled).pieces)
    return replace(file, pieces=Pieces.joined(pieces))


def test_rows_of_several_files_are_in_the_order_of_the_snapshot_whoever_has_spooled_them(tmp_path: Path) -> None:
    some, others = [Row(b"\x01", not_after=5), Row(b"\x02")], [Row(b"\x01", not_after=9), Row(b"\x02", UNKNOWN)]
    for number, parts in enumerate([(some, others), (others, some)]):
        loaded = load_shard(spooled_apart(tmp_path / str(number), *parts), 6)
        (conflict,) = loaded.examples.conflicts
        assert (conflict.row, conflict.other) == ((0, 1), (1, 1))
        assert (loaded.counts.repeated, loaded.counts.expired, len(loaded.codes)) == (2, 0, 2)


def test_equal_keys_of_several_files_are_in_the_order_of_the_snapshot(tmp_path: Path) -> None:
    parts = [[Row(b"\x04"), Row(b"\x02")], [Row(b"\x03"), Row(b"\x01")]]
    file = spooled_apart(tmp_path, *parts, keys=(7, 7))
    assert serials_of(load_shard(file)) == [b"\x04", b"\x02", b"\x03", b"\x01"]


@pytest.mark.parametrize(
    ("not_after", "expired_before", "kept"),
    [
        (-(2**40), 1, False),
        (-1, 1, False),
        (0, 1, False),
        (1, 1, True),
        (2**32 - 2, 2**32 - 1, False),
        (2**32 - 1, 2**32 - 1, True),
        (2**32, 2**32 - 1, True),
        (NO_EXPIRY, 2**32 - 1, True),
        (2**31, 2**31 + 1, False),
        (5, -(2**40), True),
        (NO_EXPIRY, 2**40, True),
        (5, 2**40, False),
        # beyond what 32 bits name on both sides, nobody loses an answer
        (-9, -5, True),
        (2**33, 2**34, True),
    ],
)
def test_times_before_1970_and_after_2106_expire_as_others_do(
    tmp_path: Path, not_after: int, expired_before: int, *, kept: bool
) -> None:
    rows = load(tmp_path, [Row(b"\x01", not_after=not_after)], expired_before=expired_before)
    assert (len(rows.codes), rows.counts.expired) == ((1, 0) if kept else (0, 1))


def test_a_certificate_expires_to_the_second(tmp_path: Path) -> None:
    expiring = [Row(bytes([1, 1 + i]), not_after=100 + i) for i in range(-1, 2)]
    rows = load(tmp_path, expiring, expired_before=100)
    assert sorted(serials_of(rows)) == [b"\x01\x01", b"\x01\x02"]
    assert rows.counts.expired == 1
    assert load(tmp_path / "all", expiring).counts.expired == 0


def test_the_order_of_rows_does_not_depend_on_that_of_the_snapshot(tmp_path: Path) -> None:
    rows = various_rows(300)
    shuffled = [rows[i] for i in np.random.default_rng(3).permutation(300)]
    assert serials_of(load(tmp_path / "a", rows)) == serials_of(load(tmp_path / "b", shuffled))


def test_a_shard_without_rows_is_empty(tmp_path: Path) -> None:
    rows = load(tmp_path, [])
    assert (len(rows.codes), rows.groups(), rows.counts.expired) == (0, {}, 0)


def count_of(rows: ShardRows) -> ShardCount:
    return ShardCount(0, rows.groups(), rows.counts, rows.examples)


@pytest.mark.parametrize(
    "rows", [[], various_rows(400, issuers=2), [REVOCATION, REVOCATION, Row(b"\x01", not_after=5)]]
)
def test_rows_that_were_surveyed_may_be_signed(tmp_path: Path, rows: list[Row]) -> None:
    (file,) = spool(tmp_path, rows)
    loaded = load_shard(file, 10)
    again = load_shard(replace(file, digest=count_of(loaded).digest()), 10)
    assert serials_of(again) == serials_of(loaded)


@pytest.mark.parametrize(
    "other",
    [
        [REVOCATION],
        [REVOCATION, Row(b"\x01", UNKNOWN)],
        [REVOCATION, Row(b"\x01\x01")],
        [REVOCATION, Row(b"\x01", issuer=1)],
        [REVOCATION._replace(reason=NO_REASON), Row(b"\x01")],
        [REVOCATION, Row(b"\x01"), Row(b"\x01")],
        [REVOCATION, Row(b"\x01"), Row(b"\x02", not_after=5)],
        [REVOCATION, Row(b"\x01"), Row(b"\x02")],
    ],
)
def test_other_rows_than_were_surveyed_are_not_signed(tmp_path: Path, other: list[Row]) -> None:
    surveyed = count_of(load(tmp_path / "surveyed", [REVOCATION, Row(b"\x01")], expired_before=10)).digest()
    (file,) = spool(tmp_path / "other", other)
    with pytest.raises(
        VerificationError, match=r"rows to sign, .* nothing was published; please report this"
    ) as caught:
        load_shard(replace(file, digest=surveyed), 10)
    assert caught.value.message.startswith("shard 0: ")


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_shards_add_up_to_the_same_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    a, b, c = Group(0, 16, 0), Group(0, 16, 1), Group(1, 5, 3)
    one, two = (Pair(RowNumber(0, row), RowNumber(0, 9), bytes([row])) for row in (1, 2))
    shards = [
        ShardCount(0, {a: 2, c: 1}, RowCounts(repeated=1)),
        ShardCount(1, {a: 3, b: 5}, RowCounts(expired=4, conflicting=30), Examples((one,))),
        ShardCount(2, {b: 1}, RowCounts(repeated=2, conflicting=1), Examples((two,))),
    ]

    tally = add_up(shards[at] for at in order)

    assert list(tally.groups.items()) == [(a, 5), (b, 6), (c, 1)]
    assert tally.proofs == {0: frozenset({a, c}), 1: frozenset({b})}
    assert (tally.counts.repeated, tally.counts.expired, tally.counts.conflicting) == (3, 4, 31)
    assert tally.examples.conflicts == (one, two)
    assert tally.digests == {one.shard: one.digest() for one in shards}


@pytest.mark.parametrize("step", [1, -1])
def test_of_many_shards_the_first_ones_show_what_contradicts_and_what_repeats(step: int) -> None:
    """Whichever comes first: every shard has two pairs, and the first ten shards are enough."""
    pairs = [[Pair(RowNumber(0, row), RowNumber(1, row), b"\x05") for row in (shard, shard + 1)] for shard in range(90)]
    shards = [
        ShardCount(shard, {}, RowCounts(repeated=2, conflicting=2), Examples(tuple(two), tuple(two)))
        for shard, two in enumerate(pairs)
    ]

    tally = add_up(shards[::step])

    first = [pair for two in pairs[:10] for pair in two]
    assert tally.examples.conflicts == tuple(first)
    assert tally.examples.repetitions == tuple(first)
    assert (tally.counts.conflicting, tally.counts.repeated) == (180, 180)
