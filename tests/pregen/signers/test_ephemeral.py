"""Ephemeral keys decide over the responder's key: drawn from a fake source that remembers all that it gave."""

import gc
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.errors import SigningError
from pregen.signers.ephemeral import EphemeralKeys, KernelSource

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
TOP = P256_ORDER >> 192 << 192


class ScriptedSource:
    """Gives the numbers it is told to, then ascending ones; notes every number, and the memory it was written to."""

    def __init__(self, *numbers: int) -> None:
        self._script = list(numbers)
        self._next = 1 << 192
        self.given: list[int] = []
        self.addresses: list[int] = []

    def readinto(self, buffer: memoryview) -> int:
        self.addresses.append(np.frombuffer(buffer, np.uint8).ctypes.data)
        for at in range(0, len(buffer), 32):
            if self._script:
                number = self._script.pop(0)
            else:
                number, self._next = self._next, self._next + 1
            buffer[at : at + 32] = number.to_bytes(32, "little")
            self.given.append(number)
        return len(buffer)


def numbers(words: NDArray[np.uint64]) -> list[int]:
    return [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in words]


@pytest.mark.parametrize(
    "outside", [0, P256_ORDER, P256_ORDER + 1, 2**256 - 1, TOP + 2**192 - 1, TOP | (P256_ORDER & (2**192 - 1)) + 1]
)
@pytest.mark.parametrize("row", [0, 3, 7])
def test_a_number_outside_of_the_range_is_drawn_again(outside: int, row: int) -> None:
    source = ScriptedSource(*range(1 << 200, (1 << 200) + row), outside)
    keys = EphemeralKeys(P256_ORDER, 8, source)
    keys.draw(8)
    expected = source.given[:8]
    expected[row] = source.given[8]
    assert outside not in expected
    assert numbers(keys.words) == expected


@pytest.mark.parametrize("inside", [1, 2, P256_ORDER - 1, TOP, TOP + 1, 2**64, 2**192 - 1, TOP - 1])
def test_a_number_at_the_edge_of_the_range_is_taken(inside: int) -> None:
    keys = EphemeralKeys(P256_ORDER, 1, ScriptedSource(inside))
    keys.draw(1)
    assert numbers(keys.words) == [inside]


P384_ORDER = 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D
P521_ORDER = 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7


class OctetSource:
    """Gives scripted octets, one key after the other."""

    def __init__(self, size: int, *numbers: int) -> None:
        self._octets = b"".join(number.to_bytes(size, "little") for number in numbers)

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._octets))
        buffer[:count], self._octets = self._octets[:count], self._octets[count:]
        return count


@pytest.mark.parametrize(("order", "size"), [(P384_ORDER, 48), (P521_ORDER, 72)], ids=["p384", "p521"])
def test_larger_curves_take_what_is_in_range_and_nothing_else(order: int, size: int) -> None:
    outside, inside = (0, order, order + 1), (1, 2**64, order - 1, order >> 1)
    keys = EphemeralKeys(order, 1, OctetSource(size, *outside, 5))
    keys.draw(1)
    assert numbers(keys.words) == [5]
    keys = EphemeralKeys(order, len(inside), OctetSource(size, *inside))
    keys.draw(len(inside))
    assert numbers(keys.words) == list(inside)


@pytest.mark.parametrize("number", [1, P521_ORDER - 1, 2**520])
def test_bits_beyond_those_of_p521_are_cut_off_and_the_rest_is_taken(number: int) -> None:
    surplus = 0x5A5A << 521
    keys = EphemeralKeys(P521_ORDER, 2, OctetSource(72, number | surplus, surplus, number | surplus))
    keys.draw(2)
    assert numbers(keys.words) == [number, number], "zero below the surplus bits is drawn again, and cut again"


@pytest.mark.parametrize("order", [P384_ORDER, P521_ORDER], ids=["p384", "p521"])
def test_bits_of_larger_keys_are_as_often_one_as_zero(order: int) -> None:
    keys = EphemeralKeys(order, 4096, KernelSource())
    keys.draw(4096)
    ones = np.unpackbits(keys.words.view(np.uint8), axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
    bits = order.bit_length()
    assert (abs(ones[:bits] - 2048) < 7 * 32).all()
    assert not ones[bits:].any()


@pytest.mark.parametrize("word", [0, 1, 2])
def test_every_word_is_compared_where_the_top_ones_are_equal(word: int) -> None:
    above, below = P256_ORDER + (1 << 64 * word), P256_ORDER - (1 << 64 * word)
    keys = EphemeralKeys(P256_ORDER, 1, ScriptedSource(above, below))
    keys.draw(1)
    assert numbers(keys.words) == [below]


def test_numbers_outside_are_drawn_again_until_one_is_inside() -> None:
    source = ScriptedSource(*[0] * 5, *[P256_ORDER] * 5, 7)
    keys = EphemeralKeys(P256_ORDER, 1, source)
    keys.draw(1)
    assert numbers(keys.words) == [7]
    assert len(source.given) == 11


def test_keys_are_read_straight_into_their_own_memory() -> None:
    source = ScriptedSource(5, 0)
    keys = EphemeralKeys(P256_ORDER, 4, source)
    keys.draw(4)
    start = keys.words.ctypes.data
    assert source.addresses == [start, start + 32]


def test_each_draw_asks_the_source_anew_and_for_no_more_than_it_needs() -> None:
    source = ScriptedSource()
    keys = EphemeralKeys(P256_ORDER, 8, source)
    seen: list[int] = []
    for rows in (8, 3, 8, 1):
        keys.draw(rows)
        seen += numbers(keys.words[:rows])
        keys.wipe(len(keys.words))
    assert seen == source.given
    assert len(set(seen)) == 20


def test_wiping_overwrites_all_keys() -> None:
    keys = EphemeralKeys(P256_ORDER, 8, ScriptedSource())
    keys.draw(8)
    assert keys.words.any(axis=1).all()
    keys.wipe(len(keys.words))
    assert not keys.words.any()


class DrySource:
    """Gives nothing more, from the nth read on."""

    def __init__(self, nth: int, answer: int | None) -> None:
        self._left = nth
        self._answer = answer

    def readinto(self, buffer: memoryview) -> int | None:
        buffer[:] = bytes(len(buffer) - 32) + b"\xff" * 32  # the last key is outside of the range
        self._left -= 1
        return self._answer if self._left < 0 else len(buffer)


class PiecemealSource(ScriptedSource):
    """Gives a few octets at a time, as the kernel does under a storm of signals."""

    def readinto(self, buffer: memoryview) -> int:
        return super().readinto(buffer[: min(len(buffer), 96)])


def test_a_read_that_was_interrupted_goes_on_in_the_same_memory() -> None:
    source = PiecemealSource()
    keys = EphemeralKeys(P256_ORDER, 8, source)
    keys.draw(8)
    assert numbers(keys.words) == source.given
    assert source.addresses == [keys.words.ctypes.data + at for at in (0, 96, 192)]


def test_signals_do_not_disturb_the_drawing() -> None:
    keys = EphemeralKeys(P256_ORDER, 4096, KernelSource())
    arrived: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: arrived.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        while len(arrived) < 200:
            keys.words[:] = 0
            keys.draw(4096)
            assert keys.words.any(axis=1).all()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("answer", [0, None])
@pytest.mark.parametrize("nth", [0, 1])
def test_a_source_that_gives_nothing_is_an_error_and_leaves_no_key(nth: int, answer: int | None) -> None:
    keys = EphemeralKeys(P256_ORDER, 8, DrySource(nth, answer))
    with pytest.raises(SigningError, match=f"gave {answer} octets"):
        keys.draw(8)
    assert not keys.words.any()


def test_the_kernel_gives_different_numbers_without_a_buffer_in_between() -> None:
    keys = EphemeralKeys(P256_ORDER, 4096, KernelSource())
    keys.draw(4096)
    first = numbers(keys.words)
    keys.draw(4096)
    assert len({*first, *numbers(keys.words)}) == 8192


@pytest.mark.skipif(sys.platform != "linux", reason="/proc lists open descriptors on Linux alone")
def test_the_kernels_descriptor_is_closed_with_its_owner() -> None:
    descriptors = Path("/proc/self/fd")
    before = set(descriptors.iterdir())
    keys = EphemeralKeys(P256_ORDER, 8, KernelSource())
    assert len(set(descriptors.iterdir()) - before) == 1
    del keys
    assert set(descriptors.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="devices have other numbers elsewhere")
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "a file"])
def test_what_is_not_the_kernels_generator_is_refused_and_closed(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_bytes(bytes(4096))
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(SigningError, match=r"is not the kernel's generator.*own /dev, or use --engine software"):
        KernelSource(tmp_path / name)
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_generator_that_does_not_open_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match=r"does not open \(.*urandom.*own /dev, or use --engine software") as caught:
        KernelSource(tmp_path / "urandom")
    assert isinstance(caught.value.__cause__, OSError)
    del caught
    gc.collect()  # an exception in __del__ would be a warning, and fail this test


def test_bits_of_the_kernels_numbers_are_as_often_one_as_zero() -> None:
    keys = EphemeralKeys(P256_ORDER, 4096, KernelSource())
    keys.draw(4096)
    ones = np.unpackbits(keys.words.view(np.uint8), axis=1).sum(axis=0)
    # 4096 fair coins leave 2048 +- 7 * 32 once in 10 ** 11; 256 of them are looked at
    assert (abs(ones.astype(int) - 2048) < 7 * 32).all()
