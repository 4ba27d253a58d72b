"""Serials that are written otherwise than declared: told where chance does not explain it, and nowhere else."""

import base64
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.snapshot.habits.scripts import SERIAL_ENCODING, Scripts
from pregen.snapshot.octets import ArrowArray
from pregen.snapshot.serials import read_serials

BITS = [63, 64, 96, 127, 128, 158]


def noted(column: ArrowArray, encoding: str) -> Scripts:
    found = Scripts()
    serials = read_serials(column, encoding)
    malformed = any(fault.code.startswith("row.serial.not-") and fault.rows.any() for fault in serials.faults)
    found.note(column, encoding, serials.values, has_malformed=malformed)
    return found


def said(column: ArrowArray, encoding: str) -> str:
    """Return what is said of a column; empty if nothing is."""
    findings = noted(column, encoding).findings("SER", encoding)
    assert all((one.code, one.severity) == (SERIAL_ENCODING, "error") for one in findings)
    return "\n".join(one.message for one in findings)


def numbers(bits: int, count: int) -> list[int]:
    draw = random.Random(bits * 1_000 + count)
    return [draw.getrandbits(bits - 1) | 1 << (bits - 2) for _ in range(count)]


def octets(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def written(serials: list[int]) -> dict[str, tuple[ArrowArray, set[str]]]:
    """Return every way to write numbers, and the encodings that read it rightly."""
    return {
        "decimal": (pa.array([str(one) for one in serials]), {"decimal"}),
        "hex": (pa.array([f"{one:x}" for one in serials]), {"hex"}),
        "HEX": (pa.array([octets(one).hex().upper() for one in serials]), {"hex"}),
        "0x": (pa.array([f"0x{one:x}" for one in serials]), {"hex"}),
        "he:x": (pa.array([octets(one).hex(":") for one in serials]), {"hex"}),
        "octets": (pa.array(list(map(octets, serials)), pa.binary()), {"binary", "unsigned-binary"}),
        "octets of decimal": (pa.array([str(one).encode() for one in serials], pa.binary()), {"decimal"}),
        "octets of hex": (pa.array([f"{one:x}".encode() for one in serials], pa.binary()), {"hex"}),
        "octets of HEX": (pa.array([f"{one:X}".encode() for one in serials], pa.large_binary()), {"hex"}),
        "octets of 0x": (pa.array([f"0x{one:x}".encode() for one in serials], pa.binary()), {"hex"}),
        "octets of he:x": (pa.array([octets(one).hex(":").encode() for one in serials], pa.binary()), {"hex"}),
        "padded octets of hex": (
            pa.array([f"{one:x}".encode().ljust(64, b"\0") for one in serials], pa.binary(64)),
            {"hex"},
        ),
        "base64": (pa.array([base64.b64encode(octets(one)).decode() for one in serials]), set()),
        "base64url": (pa.array([base64.urlsafe_b64encode(octets(one)).decode().rstrip("=") for one in serials]), set()),
        "octets of base64": (pa.array([base64.b64encode(octets(one)) for one in serials], pa.binary()), set()),
        "hex twice": (pa.array([f"{one:x}".encode().hex() for one in serials]), set()),
    }


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("count", [12, 1_500])
def test_every_wrong_reading_is_told_and_no_right_one(bits: int, count: int) -> None:
    serials = numbers(bits, count)
    for name, (column, right) in written(serials).items():
        is_octets = "octets" in name
        for encoding in ("hex", "decimal", *(("binary", "unsigned-binary") if is_octets else ())):
            if name == "octets" and encoding in {"hex", "decimal"}:
                continue  # each row is a fault
            if encoding == "decimal" and ("0x" in name or "he:x" in name or name == "hex twice"):
                continue  # so is each row here, or nearly
            assert bool(said(column, encoding)) == (encoding not in right), (name, encoding, said(column, encoding))


@pytest.mark.parametrize(
    ("name", "encoding", "wanted"),
    [
        ("decimal", "hex", 'encoding = ... } to "decimal"'),
        ("hex", "decimal", 'encoding = ... } to "hex"'),
        ("octets of decimal", "binary", 'encoding = ... } to "decimal"'),
        ("octets of decimal", "unsigned-binary", 'encoding = ... } to "decimal"'),
        ("octets of hex", "binary", 'encoding = ... } to "hex"'),
        ("octets of HEX", "unsigned-binary", 'encoding = ... } to "hex"'),
        ("octets of decimal", "hex", 'encoding = ... } to "decimal"'),
        ("octets of base64", "binary", "text in base64"),
        ("base64", "hex", "seem to be base64"),
        ("hex twice", "hex", "encoded twice"),
    ],
)
def test_the_right_encoding_is_named(name: str, encoding: str, wanted: str) -> None:
    assert wanted in said(written(numbers(64, 400))[name][0], encoding)


@pytest.mark.parametrize(
    "first", [1, 0x10, 0x30, 0x41, 0x61, 0x1000, 0x3030, 0x4141, 0x414F, 0x6161, 0x313030, 1 << 70]
)
@pytest.mark.parametrize("count", [1, 9, 10, 20, 26, 46, 99, 1_000])
def test_numbers_that_count_are_taken_in_every_right_encoding(first: int, count: int) -> None:
    for name, (column, right) in written(list(range(first, first + count))).items():
        for encoding in right:
            assert not said(column, encoding), (name, encoding)


@settings(max_examples=40)
@given(st.integers(0, 2**64), st.integers(1, 60), st.integers(0, 2**90))
def test_random_numbers_under_one_prefix_are_taken(seed: int, count: int, prefix: int) -> None:
    draw = random.Random(seed)
    serials = [prefix << 64 | draw.getrandbits(64) for _ in range(count)]

    for name, (column, right) in written(serials).items():
        for encoding in right:
            assert not said(column, encoding), (name, encoding)


def test_two_issuers_with_prefixes_of_digits_are_taken() -> None:
    tails = numbers(32, 5_000)
    texts = [f"{'1000000000' if at % 2 else '2345678923'}{one:08x}" for at, one in enumerate(tails)]

    assert not said(pa.array(texts), "hex")


def test_decimal_numbers_among_hexadecimal_ones_are_told() -> None:
    legacy, new = numbers(127, 300), numbers(126, 10_000)
    column = pa.array([str(one) for one in legacy] + [f"{one:032x}" for one in new])
    shuffled = column.take(pa.array(random.Random(1).sample(range(len(column)), len(column))))

    assert 'to "decimal"' in said(pa.concat_arrays([column.slice(0, 300), shuffled.slice(0, 200)]), "hex")
    assert not said(column.slice(300), "hex")


def test_what_is_counted_in_parts_is_what_is_counted_at_once() -> None:
    column = pa.array([str(one) for one in numbers(64, 4)])
    parts = Scripts()
    for at in range(0, 4, 2):
        parts.add(noted(column.slice(at, 2), "hex"))

    assert parts.findings("SER", "hex")
    assert not noted(column.slice(0, 1), "hex").findings("SER", "hex")


def test_integers_are_numbers() -> None:
    assert not said(pa.array(range(10**17, 10**17 + 500)), "decimal")
