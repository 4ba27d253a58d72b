"""The real library, in which a bit flips."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest

from pregen.signers import Algorithm
from pregen.signers.multibuffer import LANES, MultibufferEngine

Moment = Literal["for the call", "before it", "after it"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A bit that flips where one lane of one function reads or writes.

    Attributes:
        function: of the library.
        argument: which of its tables of addresses.
        lane: which of its eight addresses.
        octet, bit: there.
        moment: whether the bit flips back after the call, stays flipped, or flips in what the call has written.
        call: how many calls go well before.
    """

    function: str
    argument: int
    lane: int
    octet: int = 0
    bit: int = 0
    moment: Moment = "for the call"
    call: int = 0

    def flip(self, table: int) -> None:
        """Flip the bit to which a table of addresses leads."""
        address = (ctypes.c_uint64 * LANES).from_address(table)[self.lane]
        octet = ctypes.c_uint8.from_address(address + self.octet)
        octet.value ^= 1 << self.bit


@dataclass(frozen=True, slots=True)
class Diversion(Fault):
    """An address that changes, and leads to other memory: zeros, at first."""

    moment: Moment = "before it"
    elsewhere: ctypes.Array[ctypes.c_char] = field(default_factory=lambda: ctypes.create_string_buffer(1024))

    def flip(self, table: int) -> None:
        """Lead the address elsewhere."""
        (ctypes.c_uint64 * LANES).from_address(table)[self.lane] = ctypes.addressof(self.elsewhere)


class FaultyFunction:
    """A function of the library, with the types that its caller gives it."""

    argtypes: list[type] | None = None
    restype: type | None = None

    def __init__(self, real: Callable[..., int], fault: Fault) -> None:
        self._real = real
        self._fault = fault
        self._calls = 0

    def __call__(self, *arguments: int) -> int:
        self._real.argtypes, self._real.restype = self.argtypes, self.restype  # type: ignore[attr-defined]  # a C function
        fault, table, struck = self._fault, arguments[self._fault.argument], self._calls == self._fault.call
        self._calls += 1
        if struck and fault.moment != "after it":
            fault.flip(table)
        status = self._real(*arguments)
        if struck and fault.moment != "before it":
            fault.flip(table)
        return status


class FaultyLibrary(ctypes.CDLL):
    """The real library, with one fault."""

    def __init__(self, library: ctypes.CDLL, fault: Fault) -> None:
        super().__init__(library._name)  # noqa: SLF001 - ctypes says nowhere else what it loaded
        self._fault = fault

    def __getitem__(self, name: str) -> Callable[..., int]:  # type: ignore[override]  # for a C function
        real = super().__getitem__(name)
        return FaultyFunction(real, self._fault) if name == self._fault.function else real


def faulty_engine(library: ctypes.CDLL, fault: Fault) -> MultibufferEngine:
    return MultibufferEngine(lambda: FaultyLibrary(library, fault))


def skip_without(algorithm: Algorithm) -> None:
    if not MultibufferEngine().supports(algorithm):
        pytest.skip(f"this CPU has no {algorithm.name} in multibuffer")
