"""Long serials that a program has rounded are told; those that end in zeros by themselves are not."""

import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from pregen.snapshot.findings import RowPlace
from pregen.snapshot.habits.rounded import SERIAL_ROUNDED, Rounded
from pregen.snapshot.octets import ArrowArray
from pregen.snapshot.serials import read_serials

PLACE = RowPlace(0, Path("day.csv"), 0)


def said(column: ArrowArray, encoding: str = "decimal") -> str:
    """Return what is said of a column; empty if nothing is."""
    found = Rounded()
    is_text = encoding in {"hex", "decimal"} and not pa.types.is_integer(column.type)
    found.note(column, read_serials(column, encoding).values, "SER", PLACE, is_text=is_text)
    findings = found.findings("SER")
    assert all((one.code, one.severity) == (SERIAL_ROUNDED, "error") for one in findings)
    return "\n".join(str(one) for one in findings)


def numbers(bits: int, count: int) -> list[int]:
    draw = random.Random(bits * 1_000 + count)
    return [draw.getrandbits(bits - 1) | 1 << (bits - 2) for _ in range(count)]


def kept(number: int, digits: int) -> str:
    """Return a number as a program writes it that keeps so many digits."""
    text = str(number)
    return f"{number:.{digits - 1}e}".replace(".", "").split("e")[0].ljust(len(text), "0")


@pytest.mark.parametrize("bits", [64, 65, 96, 128, 159])
@pytest.mark.parametrize("digits", [15, 17])
@pytest.mark.parametrize("count", [12, 100, 2_000])
def test_numbers_of_which_so_many_digits_were_kept_are_refused(bits: int, digits: int, count: int) -> None:
    column = pa.array([kept(number, digits) for number in numbers(bits, count)])

    assert f"serials have {15 if digits == 15 else 17} digits at most" in said(column)
    assert "day.csv, row 1, SER, '" in said(column)


@pytest.mark.parametrize("bits", [72, 96, 128, 159])
@pytest.mark.parametrize("encoding", ["hex", "decimal", "binary", "unsigned-binary"])
def test_numbers_that_were_floats_are_refused(bits: int, encoding: str) -> None:
    serials = [int(float(number)) for number in numbers(bits, 60)]
    columns: dict[str, ArrowArray] = {
        "hex": pa.array([f"{one:x}" for one in serials]),
        "decimal": pa.array([str(one) for one in serials]),
        "binary": pa.array([one.to_bytes(one.bit_length() // 8 + 1, "big") for one in serials], pa.binary()),
        "unsigned-binary": pa.array([one.to_bytes(24, "big") for one in serials], pa.binary(24)),
    }

    assert "53 bits at most" in said(columns[encoding], encoding)


def test_one_cell_of_a_column_is_enough_where_numbers_are_long() -> None:
    column = pa.array([str(one) for one in numbers(128, 5_000)] + [kept(numbers(128, 1)[0], 15)])

    assert "1 of 5,001 serials have 15 digits at most" in said(column)
    assert "day.csv, row 5001" in said(column)


def test_digits_among_hexadecimal_numbers_are_rounded_too() -> None:
    column = pa.array([f"{one:x}" for one in numbers(127, 500)] + ["123456789012345000000000000000"])

    assert "1 of 501 serials" in said(column, "hex")


@pytest.mark.parametrize("bits", [32, 56, 60, 64, 96, 128, 159])
def test_numbers_that_end_in_zeros_by_chance_are_taken(bits: int) -> None:
    serials = numbers(bits, 40_000)

    assert not said(pa.array([str(one) for one in serials]))
    assert not said(pa.array([f"{one:x}" for one in serials]), "hex")
    assert not said(pa.array([one.to_bytes(21, "big") for one in serials], pa.binary()), "unsigned-binary")


@pytest.mark.parametrize("first", [1, 10**15, 10**18, 10**20, 123 * 10**20, 2**64, 2**80, 2**100, 0x1234 << 96])
@pytest.mark.parametrize("count", [1, 2, 100, 20_001])
def test_numbers_that_count_from_a_round_one_are_taken(first: int, count: int) -> None:
    serials = range(first, first + count)

    assert not said(pa.array([str(one) for one in serials]))
    assert not said(pa.array([f"{one:x}" for one in serials]), "hex")
    assert not said(pa.array([one.to_bytes(21, "big") for one in serials], pa.binary()), "unsigned-binary")


@pytest.mark.parametrize("text", ["1.23E+30", "1,23E+30", "1.2E+06", "-1.5e+20", "1E+30", "1.234567890123456e30"])
@pytest.mark.parametrize("encoding", ["hex", "decimal"])
def test_scientific_notation_is_called_so(text: str, encoding: str) -> None:
    faults = read_serials(pa.array(["11", text, "12"]), encoding).faults

    assert {fault.code: fault.rows.tolist() for fault in faults if fault.rows.any()} == {
        "row.serial.rounded": [False, True, False]
    }


def test_a_hexadecimal_number_with_an_e_is_one() -> None:
    assert not any(fault.rows.any() for fault in read_serials(pa.array(["1E30", "12E5"]), "hex").faults)


def test_decimals_of_a_database_are_judged_like_text() -> None:
    column = pa.array([Decimal(kept(one, 15)) for one in numbers(96, 50)], pa.decimal128(38, 0))

    assert "15 digits at most" in said(column)
