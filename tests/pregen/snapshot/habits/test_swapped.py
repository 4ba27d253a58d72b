"""Octets in another order than in certificates: told where the numbers tell it, and nowhere else."""

import random
import uuid
from collections.abc import Callable

import pyarrow as pa
import pytest

from pregen.snapshot.habits.scripts import SERIAL_ENCODING
from pregen.snapshot.habits.swapped import ENDS_ALIKE, Swapped
from pregen.snapshot.octets import octets_of
from pregen.snapshot.serials import read_serials


def said(serials: list[bytes]) -> list[tuple[str, str]]:
    """Return codes and messages about numbers, which a file writes as hex."""
    values = read_serials(pa.array([one.hex() for one in serials]), "hex").values
    found = Swapped()
    for start in range(0, len(serials), 100):
        found.note(octets_of(values.slice(start, 100)))
    return [(one.code, one.message) for one in found.findings("SER")]


def positive(size: int, count: int = 300) -> list[bytes]:
    draw = random.Random(size)
    return [bytes([draw.randrange(1, 128)]) + draw.randbytes(size - 1) for _ in range(count)]


def guid(octets: bytes) -> bytes:
    return octets[3::-1] + octets[5:3:-1] + octets[7:5:-1] + octets[8:]


def in_words(size: int) -> Callable[[bytes], bytes]:
    return lambda octets: b"".join(octets[at : at + size][::-1] for at in range(0, len(octets), size))


@pytest.mark.parametrize("size", [8, 9, 12, 16, 19, 20])
def test_little_endian_numbers_are_told_and_right_ones_are_not(size: int) -> None:
    right = positive(size)
    assert said(right) == []
    [(code, message)] = said([one[::-1] for one in right])
    assert (code, f"300 serials of {size}" in message or "serials of" in message) == (SERIAL_ENCODING, True)
    assert "little-endian" in message


def test_little_endian_numbers_that_have_an_octet_for_the_sign_are_told() -> None:
    draw = random.Random(7)
    numbers = [draw.getrandbits(128) for _ in range(600)]
    octets = [one.to_bytes(one.bit_length() // 8 + 1, "little") for one in numbers]
    assert [code for code, _ in said(octets)] == [SERIAL_ENCODING]


@pytest.mark.parametrize(
    ("swap", "told"),
    [
        (guid, "uniqueidentifier"),
        (lambda octets: octets[::-1], "little-endian"),
        (in_words(2), "words of 2"),
        (in_words(4), "words of 4"),
        (in_words(8), "words of 8"),
    ],
)
@pytest.mark.parametrize("version", [1, 4])
def test_uuids_in_another_order_are_told_by_version_and_variant(
    swap: Callable[[bytes], bytes], told: str, version: int
) -> None:
    draw = random.Random(version)
    right = [uuid.UUID(bytes=draw.randbytes(16), version=version).bytes for _ in range(40)]
    assert said(right) == []
    [(code, message)] = said([swap(one) for one in right])
    assert code == SERIAL_ENCODING
    assert told in message


@pytest.mark.parametrize(("swap", "told"), [(guid, "uniqueidentifier"), (in_words(2), "words of 2")])
def test_positive_numbers_in_the_order_of_a_database_are_told(swap: Callable[[bytes], bytes], told: str) -> None:
    [(code, message)] = said([swap(one) for one in positive(16)])
    assert code == SERIAL_ENCODING
    assert told in message


def test_a_prefix_at_the_end_is_a_warning() -> None:
    draw = random.Random(3)
    assert [code for code, _ in said([draw.randbytes(16) + b"\x83\x04" for _ in range(300)])] == [ENDS_ALIKE]
    assert said([b"\x04\x83" + draw.randbytes(16) for _ in range(300)]) == []


def test_numbers_that_count_and_random_ones_are_in_order() -> None:
    draw = random.Random(5)
    start = draw.getrandbits(120)
    for serials in (
        [number.to_bytes(16, "big") for number in range(1 << 100, (1 << 100) + 500)],
        [(start + number).to_bytes(16, "big") for number in range(500)],
        [draw.randbytes(8) + number.to_bytes(8, "big") for number in range(500)],
        [bytes([draw.randrange(128, 256)]) + draw.randbytes(15) for _ in range(500)],
        [draw.randbytes(20) for _ in range(500)],
        [f"{number:020d}".encode() for number in range(500)],
        [draw.randbytes(16) for _ in range(20)],
    ):
        assert said(serials) == []


@pytest.mark.parametrize("size", [4, 6, 8, 16])
@pytest.mark.parametrize(("count", "codes"), [(300, [ENDS_ALIKE]), (6_000, [SERIAL_ENCODING])])
def test_numbers_that_count_are_told_where_they_are_little_endian(size: int, count: int, codes: list[str]) -> None:
    numbers = [(0x40 << 8 * (size - 1)) + at for at in range(count)]
    assert said([one.to_bytes(size, "big") for one in numbers]) == []
    found = said([one.to_bytes(size, "little") for one in numbers])
    assert [code for code, _ in found] == (codes if size >= 8 else [ENDS_ALIKE])
    assert "little-endian" in found[0][1]


@pytest.mark.parametrize("size", [4, 5, 7])
def test_short_numbers_that_count_far_from_a_set_top_bit_are_in_order(size: int) -> None:
    assert said([((0x80 << 8 * (size - 1)) + at * 977).to_bytes(size, "big") for at in range(5_000)]) == []
