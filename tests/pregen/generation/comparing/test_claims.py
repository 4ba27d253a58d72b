"""What CRLs list, held against the rows of shards: the same as looking up each row by itself."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pregen.generation.comparing.claims import MOST_FOREIGN, Claims, hold_against, make_claims
from pregen.generation.comparing.held import Held, all_held
from pregen.generation.rows.rows import load_shard
from pregen.issuers import Issuer
from pregen.snapshot import CrlEntries, RevocationList, RowStatus
from tests.pregen.generation.workshop import Row, make_issuers, respooled, spool, various_rows

REVOKED = RowStatus.REVOKED

AS_OF = 1_800_000_000


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, ...]:
    return make_issuers(tmp_path_factory.mktemp("issuers"), {}, {})


def listing(entries: Mapping[bytes, int], issuer: int = 0) -> RevocationList:
    """Return a CRL of serials, and when they were revoked."""
    serial = pa.array(list(entries), pa.binary())
    listed = CrlEntries(serial, np.array(list(entries.values()), np.int64), np.full(len(entries), 1, np.int8), {})
    return RevocationList(
        path=Path("ca.crl"),
        issuer=issuer,
        this_update=AS_OF,
        next_update=None,
        scope=b"",
        is_delta=False,
        entries=listed,
    )


def claims_of(issuers: tuple[Issuer, ...], *lists: RevocationList) -> Claims:
    return make_claims(lists, (), issuers, AS_OF, 300)


def held(folder: Path, rows: list[Row], claims: Claims, issuers: tuple[Issuer, ...], shards: int = 1) -> Held:
    files = spool(folder, rows, shards=shards, issuer_ids=[one.issuer_id for one in issuers])
    parts = claims.split([(file.low, file.high) for file in files])
    assert sum(map(len, parts)) == len(claims.array)
    loaded = [load_shard(file, AS_OF) for file in files]
    return all_held(hold_against(one, part) for one, part in zip(loaded, parts, strict=True))


@pytest.mark.parametrize("shards", [1, 5])
def test_rows_that_are_not_revoked_and_listed_are_found_whatever_their_serial(
    tmp_path: Path, issuers: tuple[Issuer, ...], shards: int
) -> None:
    rows = various_rows(600, issuers=2)
    listed = [row for row in rows[::3] if row.issuer == 0]
    claims = claims_of(issuers, listing({row.serial: 9 for row in listed} | {b"\x05" * 22: 9, b"": 9}))
    wrong = {row.serial for row in listed if row.status != REVOKED}
    found = held(tmp_path, rows, claims, issuers, shards)

    assert (found.final, found.hold) == (len(wrong), 0)
    assert {one.serial for one in found.examples} <= wrong
    places = {row.serial: at for at, row in enumerate(rows)}
    assert all(one.row == places[one.serial] for one in found.examples)
    assert len(found.own) == len(listed)
    assert len(found.strangers) == 0


def test_a_row_on_several_crls_is_one_and_a_row_that_has_expired_is_none(
    tmp_path: Path, issuers: tuple[Issuer, ...]
) -> None:
    rows = [Row(b"\x11"), Row(b"\x12", not_after=AS_OF - 1), Row(b"\x13")]
    lists = [listing({b"\x11": 9, b"\x12": 9}), listing({b"\x11": 9}), replace(listing({b"\x11": 9}), issuer=0)]

    assert held(tmp_path, rows, claims_of(issuers, *lists), issuers).final == 1


def test_a_serial_under_another_label_is_a_stranger_with_the_gap_of_its_time(
    tmp_path: Path, issuers: tuple[Issuer, ...]
) -> None:
    rows = [Row(b"\x11" * 9, REVOKED, 1_000, 1, issuer=1), Row(b"\x12" * 9, issuer=1)]
    found = held(tmp_path, rows, claims_of(issuers, listing({b"\x11" * 9: 940, b"\x12" * 9: 7})), issuers)

    assert (found.final, len(found.own)) == (0, 0)
    assert sorted(found.strangers["gap_s"].tolist()) == [7, 60]
    assert set(found.strangers["issuer"].tolist()) == {1}
    assert sorted(found.strangers["row"].tolist()) == [0, 1]


def test_equal_keys_of_other_serials_are_not_compared(tmp_path: Path, issuers: tuple[Issuer, ...]) -> None:
    claims = claims_of(issuers, listing({b"\x11": 9}))
    own = claims.array[~claims.array["is_foreign"]]
    (file,) = spool(tmp_path, [Row(b"\x12"), Row(b"\x11"), Row(b"\x13")], issuer_ids=[1, 2])
    spilled = file.pieces.read()
    spilled["key"] = own["key"][0]
    found = hold_against(load_shard(respooled(file, spilled)), own)

    assert (found.final, [one.serial for one in found.examples]) == (1, [b"\x11"])


def test_of_many_entries_and_issuers_a_sample_is_looked_for_under_other_labels(issuers: tuple[Issuer, ...]) -> None:
    count = MOST_FOREIGN // 2 + 1_000
    array = claims_of(issuers, listing({(1 << 22 | number).to_bytes(3, "big"): 9 for number in range(count)})).array

    assert np.count_nonzero(~array["is_foreign"]) == count
    assert np.count_nonzero(array["is_foreign"]) == count // 2
    assert len(claims_of(issuers[:1], listing({b"\x11": 9})).array) == 1
