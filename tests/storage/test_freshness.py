"""Until when answers hold: by issuer, by shard, and where windows end with their certificates."""

from dataclasses import replace

import pytest

from storage.freshness import Freshness, freshness_of
from storage.manifest import Manifest, Shard
from storage.tables import KnownAnswer, ResponseShape, Run, Shape, StoredIssuer, Tables, Window

START, HOUR, DAY = 1_795_478_400, 3600, 86_400
RESPONSE = ResponseShape(template=0, hashes=("1",), algorithm=b"", encoding="octets", signature_bytes=64)
USUAL = Window(produced_at=START, this_update=START - HOUR, next_update=START + 4 * DAY - 1, refresh_by=START + 2 * DAY)
KNOWN = KnownAnswer(issuer=0, window=USUAL, record=b"", sha256=(b"",))
SHAPE = Shape(serial_bytes=16, status="good", fields=(), responses=(RESPONSE,), known_answer=KNOWN)
END, DUE = USUAL.next_update, USUAL.refresh_by


def ending(after_s: int) -> Window:
    """Return the window of certificates that end so long after the start of the run."""
    return replace(USUAL, next_update=START + after_s)


def earlier(days: int) -> Window:
    """Return the usual window of a run some days before."""
    return Window(
        produced_at=START - days * DAY,
        this_update=START - days * DAY,
        next_update=END - days * DAY,
        refresh_by=DUE - days * DAY,
    )


def issuer(number: int) -> StoredIssuer:
    return StoredIssuer(
        issuer_id=number,
        names=(f"r{number}",),
        certificates=(),
        name_hashes={},
        key_hashes={},
        responder_id=b"",
        responder_certificate=None,
    )


def tables_of(*windows_of_issuers: list[Window]) -> Tables:
    """Return tables in which issuers 1, 2, ... have these windows."""
    windows = tuple(dict.fromkeys(window for own in windows_of_issuers for window in own))
    runs = [Run(at, 0, windows.index(window)) for at, own in enumerate(windows_of_issuers) for window in own]
    issuers = tuple(issuer(number + 1) for number in range(len(windows_of_issuers)))
    return Tables(issuers=issuers, templates=(), shapes=(SHAPE,), windows=windows, runs=tuple(runs))


def shard(tables: str, *windows: Window) -> Shard:
    return Shard(
        low=0,
        high=1 << 32,
        pack="packs/p",
        size_bytes=1,
        sha256=b"",
        directory_at=0,
        directory_crc=0,
        windows=tables,
        rows=1,
        revoked=0,
        refresh_by=min(window.refresh_by for window in windows),
        next_update=max(window.next_update for window in windows),
    )


def fresh(tables: dict[str, Tables], *shards: Shard, overlays: tuple[Shard, ...] = ()) -> Freshness:
    return freshness_of(Manifest(profile="strict", shards=shards, overlays=overlays, counts={}, gates={}), tables)


def states(found: Freshness, now: int) -> dict[str, str]:
    return {one.label: one.state(now) for one in found.issuers}


def test_one_issuer_goes_from_fresh_to_overdue_to_expired_at_the_second() -> None:
    found = fresh({"t": tables_of([USUAL])}, shard("t", USUAL))

    at = {now: (found.state(now), states(found, now)["r1"]) for now in (START, DUE, DUE + 1, END, END + 1)}

    assert at == {
        START: ("fresh", "fresh"),
        DUE: ("fresh", "fresh"),
        DUE + 1: ("overdue", "overdue"),
        END: ("overdue", "overdue"),
        END + 1: ("expired", "expired"),
    }
    assert found.state(END - 59, margin_s=60) == "expired"


def test_the_worst_of_two_issuers_counts() -> None:
    old = earlier(3)
    found = fresh({"t": tables_of([USUAL], [old])}, shard("t", USUAL, old))

    assert (found.holds_until, found.fresh_until, found.refresh_by) == (old.next_update, END, old.refresh_by)
    assert states(found, START) == {"r1": "fresh", "r2": "overdue"}
    assert states(found, old.next_update + 1) == {"r1": "fresh", "r2": "expired"}
    assert found.shard_ends == (END,)


def test_the_worst_of_two_shards_counts() -> None:
    old = earlier(3)
    found = fresh(
        {"t": tables_of([USUAL]), "o": tables_of([old])}, shard("t", USUAL), shard("o", old), shard("t", USUAL)
    )

    assert found.shards_expired(old.next_update) == 0
    assert found.shards_expired(old.next_update + 1) == 1
    assert states(found, old.next_update + 1) == {"r1": "expired"}
    (only,) = found.issuers
    assert (only.holds_until, only.fresh_until) == (old.next_update, END)


@pytest.mark.parametrize(
    "spans", [[60], [HOUR, DAY], [2 * DAY - 1, 2 * DAY, 2 * DAY + 1], [3 * DAY], [60, 2 * DAY, 4 * DAY - 2]], ids=str
)
def test_windows_that_end_with_their_certificates_make_nothing_expired_or_overdue(spans: list[int]) -> None:
    windows = [USUAL, *map(ending, spans)]
    found = fresh({"t": tables_of(windows)}, shard("t", *windows), *(shard("t", ending(span)) for span in spans))

    for now in (START, DUE - 1, DUE):
        assert found.state(now) == "fresh"
    assert found.state(DUE + 1) == "overdue"
    assert found.state(END) == "overdue"
    assert (found.holds_until, found.shards_expired(END)) == (END, 0)


def test_an_issuer_whose_certificates_all_end_before_a_newer_answer_is_due_owes_none() -> None:
    windows = [ending(HOUR), ending(20 * HOUR)]
    found = fresh({"t": tables_of([USUAL], windows)}, shard("t", USUAL, *windows), shard("t", *windows))

    assert states(found, DUE - 1) == {"r1": "fresh", "r2": "fresh"}
    assert states(found, DUE + 1) == {"r1": "overdue", "r2": "fresh"}
    assert (found.issuers[1].holds_until, found.issuers[1].fresh_until) == (None, START + 20 * HOUR)
    assert found.shards_expired(DUE) == 0


def test_a_generation_whose_certificates_all_end_is_not_expired_when_they_have() -> None:
    windows = [ending(HOUR), ending(20 * HOUR)]
    found = fresh({"t": tables_of(windows)}, shard("t", *windows))

    assert found.is_over_with_certificates
    assert [found.state(now) for now in (START + 21 * HOUR, DUE + 1, END + 1)] == ["fresh"] * 3


def test_windows_of_overlays_do_not_count() -> None:
    old = earlier(3)
    found = fresh({"t": tables_of([USUAL, old])}, shard("t", USUAL), overlays=(shard("t", old),))

    assert states(found, START) == {"r1": "fresh"}
    assert found.holds_until == END


@pytest.mark.parametrize("count", [1, 2])
def test_a_generation_without_certificates_is_judged_by_its_shards(count: int) -> None:
    tables = replace(tables_of(*[[USUAL]] * count), runs=())
    found = fresh({"t": tables}, shard("t", USUAL))

    assert [found.state(now) for now in (DUE, DUE + 1, END + 1)] == ["fresh", "overdue", "expired"]
    assert set(states(found, END + 1).values()) == {"fresh"}, "they have nothing that could expire"


# Packs that hold records of several nights


def shorter(window: Window, end: int) -> Window:
    """Return the window of certificates of the same run that end earlier."""
    return replace(window, next_update=end, ends_with_certificate=True)


def test_a_pack_of_two_nights_is_judged_by_the_older_one() -> None:
    old = earlier(1)
    found = fresh({"t": tables_of([USUAL, old])}, shard("t", USUAL, old))

    assert (found.holds_until, found.refresh_by, found.fresh_until) == (old.next_update, old.refresh_by, END)
    assert (found.begins, found.first_begins, found.produced_at) == (USUAL.this_update, old.this_update, START)
    assert states(found, old.refresh_by + 1) == {"r1": "overdue"}
    assert found.state(old.next_update + 1) == "expired"
    assert found.shards_expired(END) == 0


def test_windows_of_a_night_that_no_shard_has_any_more_do_not_count() -> None:
    old = earlier(1)
    found = fresh({"t": tables_of([USUAL, old])}, shard("t", USUAL))

    assert (found.holds_until, found.refresh_by, found.begins) == (END, DUE, USUAL.this_update)


def test_what_is_left_of_an_earlier_night_and_ends_with_certificates_makes_nobody_wait() -> None:
    old = earlier(1)
    left = shorter(old, old.refresh_by + HOUR)
    found = fresh({"t": tables_of([USUAL, left])}, shard("t", USUAL, left))

    assert (found.holds_until, found.refresh_by) == (END, DUE)
    assert found.state(left.next_update + 1) == "fresh"
    # Of a store that does not say so, the earlier end counts.
    unsaid = replace(left, ends_with_certificate=False)
    assert fresh({"t": tables_of([USUAL, unsaid])}, shard("t", USUAL, unsaid)).holds_until == left.next_update


def test_a_shard_in_which_only_such_certificates_are_left_does_not_count() -> None:
    old = earlier(1)
    left = shorter(old, old.refresh_by + HOUR)
    found = fresh({"t": tables_of([USUAL]), "o": tables_of([left])}, shard("t", USUAL), shard("o", left))

    assert (found.holds_until, found.shard_ends) == (END, (END,))
    assert fresh({"o": tables_of([left])}, shard("o", left)).is_over_with_certificates


def test_beside_the_usual_window_of_its_night_a_shorter_one_changes_nothing() -> None:
    late = shorter(USUAL, END - HOUR)
    found = fresh({"t": tables_of([USUAL, late])}, shard("t", USUAL, late), shard("t", late))

    assert (found.holds_until, found.refresh_by, found.shard_ends) == (END, DUE, (END,))
