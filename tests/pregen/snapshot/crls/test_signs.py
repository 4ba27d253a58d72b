"""Serials of entries and rows that differ by the sign alone."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.snapshot.crls.revocations import Listing, Revocations, words_of
from pregen.snapshot.crls.signs import other_signs

NAMESAKE = np.array([0, 1], np.int32)


def content(number: int) -> bytes:
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return number.to_bytes(size, "big", signed=True)


def serials_of(*numbers: int) -> pa.BinaryArray:
    array = pa.array([content(one) for one in numbers], pa.binary())
    assert isinstance(array, pa.BinaryArray)
    return array


def number_of(words: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> int:
    return int.from_bytes(words.astype(">u8").tobytes(), "big", signed=True)


@given(st.lists(st.integers(-(2**159), 2**160), min_size=1, max_size=30))
def test_the_other_sign_is_that_of_the_same_octets_without_a_leading_zero_or_with_one(numbers: list[int]) -> None:
    found = other_signs(serials_of(*numbers), also_positive=True)

    wanted = {}
    for at, number in enumerate(numbers):
        octets = content(number)
        if octets[0] >> 7:
            wanted[at] = int.from_bytes(octets, "big")
        elif octets[0] == 0 and len(octets) > 1:
            wanted[at] = int.from_bytes(octets[1:], "big", signed=True)
    assert dict(zip(found.rows.tolist(), map(number_of, found.words), strict=True)) == wanted


def revocations(*numbers: int) -> Revocations:
    count = len(numbers)
    entries = Listing(
        words_of(serials_of(*numbers)),
        np.zeros(count, np.int32),
        np.full(count, 1_700_000_000, np.uint32),
        np.full(count, 1, np.int8),
        np.zeros(count, np.int32),
        (Path("r1.crl"),),
    )
    return Revocations.of(entries, NAMESAKE)


def looked_up(known: Revocations, *rows: int, issuer: int = 0) -> tuple[set[int], dict[str, int]]:
    """Return which rows have an entry, the findings about signs, and that of all batches of one row each."""
    exact, pairs, revoked = [], [], set()
    for row in rows:
        serial, issuers = serials_of(row), np.array([issuer], np.int32)
        found = known.find(serial, issuers)
        exact.append(found[found >= 0].astype(np.int32))
        hit, entries, noted = known.find_by_sign(serial, issuers, found)
        found[hit] = entries
        pairs.append(noted)
        revoked |= {row} if found[0] >= 0 else set()
    return revoked, {finding.code: finding.count for finding in known.by_sign(exact, pairs)}


LONG = 0x8F << 120 | 7  # its content octets begin with 00


@pytest.mark.parametrize(("entry", "row"), [(LONG - (1 << 128), LONG), (LONG, LONG - (1 << 128)), (-0x71, 0x8F)])
def test_an_entry_is_found_for_the_row_of_the_other_sign_and_that_is_told(entry: int, row: int) -> None:
    known = revocations(entry, 5)

    assert looked_up(known, row, 5, 6) == ({row, 5}, {"crl.sign": 1})
    assert looked_up(known, row, row) == ({row}, {"crl.sign": 1})
    assert looked_up(known, row, issuer=1) == (set(), {})


def test_an_entry_whose_octets_begin_with_nine_ones_is_found_too() -> None:
    """A parser takes the first of them for superfluous, and the number for a shorter one."""
    row = 0xFF81 << 112 | 9
    assert looked_up(revocations(row - (1 << 128)), row) == ({row}, {"crl.sign": 1})


@pytest.mark.parametrize("order", [1, -1])
def test_an_entry_with_a_row_of_its_own_fits_no_other_one(order: int) -> None:
    rows = [LONG, LONG - (1 << 128)][::order]
    for entry in rows:
        assert looked_up(revocations(entry), *rows)[1] == {"crl.sign-unclear": 1}


def test_an_entry_that_two_rows_of_another_sign_fit_is_an_error() -> None:
    """255 and 65,535 are both -1 where their zeros are left out."""
    assert looked_up(revocations(-1), 0xFF, 0xFFFF)[1] == {"crl.sign-unclear": 1}


def test_rows_with_entries_of_their_own_are_not_looked_up_again() -> None:
    rows = (LONG, LONG - (1 << 128))
    assert looked_up(revocations(*rows), *rows) == (set(rows), {})
