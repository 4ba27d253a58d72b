"""What a shard is made of: one digest, which changes with whatever its pack would have otherwise, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pregen.generation.comparing.makings import Former, Keeping, keeping_of
from pregen.generation.comparing.past import entries_of
from pregen.generation.kept_shards import makings_of
from pregen.generation.rows.rows import load_shard
from pregen.issuers import Issuer
from pregen.snapshot import RowStatus
from pregen.validity import PROFILES
from storage.history import HistoryPart, encode_part
from storage.key import KEY32
from storage.manifest import Shard
from tests.pregen.generation.workshop import Row, make_issuers, spool, various_rows

REVOKED, UNKNOWN = RowStatus.REVOKED, RowStatus.UNKNOWN


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, ...]:
    return make_issuers(tmp_path_factory.mktemp("pki"), {}, {}, {"cert_ids": "sha1"})


class Maker:
    """Makes digests of rows, each time in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __call__(self, rows: Sequence[Row], issuers: Sequence[Issuer]) -> bytes:
        self._count += 1
        ids = [issuer.issuer_id for issuer in issuers]
        (file,) = spool(self._folder / str(self._count), rows, issuer_ids=ids)
        return makings_of(issuers).digest(load_shard(file))


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


ROWS = various_rows(200, issuers=3)


def test_a_digest_is_the_same_whatever_the_order_of_rows_and_issuers(made: Maker, issuers: tuple[Issuer, ...]) -> None:
    known = made(ROWS, issuers)
    assert made(ROWS[::-1], issuers) == known
    assert made([*ROWS, *ROWS[:7]], issuers) == known
    turned = [row._replace(issuer=2 - row.issuer) for row in ROWS]
    assert made(turned, issuers[::-1]) == known
    assert len(known) == 32


CHANGES: dict[str, Callable[[Row], Row]] = {
    "status": lambda row: row._replace(status=UNKNOWN if row.status != UNKNOWN else 0, revoked_at=0, reason=-1),
    "time": lambda row: row._replace(status=REVOKED, revoked_at=row.revoked_at + 1_700_000_001, reason=-1),
    "reason": lambda row: row._replace(status=REVOKED, revoked_at=row.revoked_at + 1, reason=(row.reason + 2) % 3),
    "serial": lambda row: row._replace(serial=row.serial[:-1] + bytes([row.serial[-1] ^ 1])),
    "length of the serial": lambda row: row._replace(
        serial=(row.serial + b"\1")[-21:] if len(row.serial) < 21 else b"abcd"
    ),
    "issuer": lambda row: row._replace(issuer=(row.issuer + 1) % 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_digest_changes_with_each_field_of_each_row(made: Maker, issuers: tuple[Issuer, ...], change: str) -> None:
    digests = {made(ROWS, issuers)}
    for at in range(0, len(ROWS), 19):
        digests.add(made([*ROWS[:at], CHANGES[change](ROWS[at]), *ROWS[at + 1 :]], issuers))
    assert len(digests) == 1 + len(range(0, len(ROWS), 19))


def test_a_row_that_comes_or_goes_changes_a_digest(made: Maker, issuers: tuple[Issuer, ...]) -> None:
    assert len({made(ROWS, issuers), made(ROWS[1:], issuers), made([*ROWS, Row(b"another one")], issuers)}) == 3


def test_when_a_certificate_ends_counts_only_where_windows_end_with_it(
    made: Maker, issuers: tuple[Issuer, ...]
) -> None:
    later = [row._replace(not_after=2_000_000_000 + at) for at, row in enumerate(ROWS)]
    assert made(later, issuers) == made(ROWS, issuers)
    first = replace(issuers[0], validity=replace(issuers[0].validity, ends_with_certificate=True))
    ending = (first, *issuers[1:])
    known = made(later, ending)
    assert known != made(ROWS, ending)
    of_first = next(at for at, row in enumerate(later) if row.issuer == 0)
    of_others = next(at for at, row in enumerate(later) if row.issuer)
    moved = [row._replace(not_after=5) if at == of_others else row for at, row in enumerate(later)]
    assert made(moved, ending) == known
    moved = [row._replace(not_after=5) if at == of_first else row for at, row in enumerate(later)]
    assert made(moved, ending) != known


def with_validity(issuer: Issuer, **fields: object) -> Issuer:
    return replace(issuer, validity=replace(issuer.validity, **fields))  # type: ignore[arg-type]


TERMS: dict[str, Callable[[Issuer], Issuer]] = {
    "profile": lambda one: with_validity(one, profile=PROFILES["lab"]),
    "lifetime": lambda one: with_validity(one, lifetime=one.validity.lifetime + timedelta(seconds=1)),
    "backdate": lambda one: with_validity(one, backdate=one.validity.backdate + timedelta(hours=1)),
    "responder's certificate": lambda one: replace(one, responder=replace(one.responder, certificate=b"another")),
    "the issuer signs": lambda one: replace(one, responder=replace(one.responder, certificate=None)),
    "responder's id": lambda one: replace(one, responder=replace(one.responder, id_octets=bytes(20))),
    "algorithm": lambda one: replace(one, responder=replace(one.responder, algorithm="p384-sha384")),
    "CertIDs": lambda one: replace(one, cert_ids=one.cert_ids[:1] if len(one.cert_ids) > 1 else (("1.2",),)),
    "the end of its certificate": lambda one: replace(one, not_after=one.not_after - timedelta(days=1)),
}


@pytest.mark.parametrize("term", [term for term in TERMS if term != "CertIDs"])
def test_a_digest_changes_with_what_answers_are_made_of(made: Maker, issuers: tuple[Issuer, ...], term: str) -> None:
    known = made(ROWS, issuers)
    assert made(ROWS, (issuers[0], TERMS[term](issuers[1]), issuers[2])) != known
    without = [row for row in ROWS if row.issuer != 1]
    assert made(without, (issuers[0], TERMS[term](issuers[1]), issuers[2])) == made(without, issuers), "not its shard"


def test_a_digest_changes_with_the_hashes_that_are_answered(made: Maker, issuers: tuple[Issuer, ...]) -> None:
    rows = [Row(bytes([5] * 16))]
    assert made(rows, issuers[:1]) != made(rows, (TERMS["CertIDs"](issuers[0]),))


def test_names_of_issuers_and_where_keys_are_do_not_count(made: Maker, issuers: tuple[Issuer, ...]) -> None:
    renamed = tuple(replace(one, names=("another", *one.names)) for one in issuers)
    assert made(ROWS, renamed) == made(ROWS, issuers)


def test_what_stays_is_what_is_made_of_the_same(tmp_path: Path, issuers: tuple[Issuer, ...]) -> None:
    rows = load_shard(spool(tmp_path, ROWS, issuer_ids=[one.issuer_id for one in issuers])[0])
    made_of = makings_of(issuers).digest(rows)
    part, _ = encode_part(bytes(range(16)), 0, KEY32, entries_of(rows).columns())
    whole = replace(part, digest=made_of)

    def of(part: HistoryPart | None, made_of: bytes | None, rows_of_shard: int = len(ROWS)) -> Keeping:
        return keeping_of(Former(shard_of(rows_of_shard), part), made_of, rows)

    assert keeping_of(None, made_of, rows) == Keeping.NOTHING
    assert of(whole, made_of) == Keeping.ALL
    assert of(part, made_of) == Keeping.NOTHING, "something was left out of it"
    assert of(part, None) == Keeping.NOTHING
    assert of(whole, bytes(32)) == Keeping.NOTHING
    assert of(None, made_of) == Keeping.NOTHING
    assert of(whole, made_of, rows_of_shard=len(ROWS) - 1) == Keeping.NOTHING
    assert of(replace(whole, crc=whole.crc ^ 1), made_of) == Keeping.PACK
    assert of(replace(whole, rows=whole.rows + 1), made_of) == Keeping.PACK


def test_an_empty_shard_stays_where_the_history_says_that_it_was_empty(
    tmp_path: Path, issuers: tuple[Issuer, ...]
) -> None:
    rows = load_shard(spool(tmp_path, [])[0])
    made_of = makings_of(issuers).digest(rows)
    part, _ = encode_part(bytes(range(16)), 0, KEY32, entries_of(rows).columns())
    assert not np.count_nonzero(rows.keys)
    assert keeping_of(Former(shard_of(0), None), made_of, rows) == Keeping.ALL
    assert keeping_of(Former(shard_of(0), part), made_of, rows) == Keeping.NOTHING


def shard_of(rows: int) -> Shard:
    return Shard(
        low=0,
        high=KEY32,
        pack="packs/00000000-" + "0" * 32,
        size_bytes=1,
        sha256=bytes(32),
        directory_at=0,
        directory_crc=0,
        windows="windows/" + "0" * 64,
        rows=rows,
        revoked=0,
        refresh_by=0,
        next_update=0,
    )
