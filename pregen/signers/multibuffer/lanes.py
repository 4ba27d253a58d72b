"""Eight rows a call: the library takes eight addresses for each argument, and answers with eight statuses.

For each argument there is a table with one address a row. A call names only where in its tables its eight lanes begin,
so the calls of a full batch are prepared once, and a batch fills tables and buffers. Lanes without a message must not
lead anywhere else: they get harmless work, and what they make is thrown away.
"""

import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pregen.errors import SigningError
from pregen.signers.base import KeyIndexes, Octets, require_indexes
from pregen.signers.multibuffer.library import Function

LANES = 8
SHIFTS = (0, 2, 4, 6) * 2  # arguments too many to try, each number twice: see Lanes
SETTLED_CALLS = 1024  # how long the best is kept: trials take less than half a per cent

Addresses: TypeAlias = NDArray[np.uint64]


def full_lanes(rows: int) -> int:
    """Return how many rows the calls for `rows` rows have.

    >>> full_lanes(9)
    16
    """
    return -(-rows // LANES) * LANES


def batches(messages: Octets, keys: KeyIndexes, count: int, rows: int) -> Iterator[slice]:
    """Return where each batch of up to `rows` messages lies.

    Raises:
        ValueError, IndexError: the indexes do not lead each message to one of `count` keys.
    """
    require_indexes(messages, keys, count)
    return (slice(at, at + rows) for at in range(0, len(messages), rows))


def row_addresses(rows: Octets | NDArray[np.uint64]) -> Addresses:
    """Return the address of each row."""
    # Modulo 2 ** 64, so that rows may lie in memory in falling order.
    step = np.uint64(rows.strides[0] % 2**64)
    return np.arange(len(rows), dtype=np.uint64) * step + np.uint64(rows.ctypes.data)


def little_endian(numbers: Sequence[int], size: int) -> Octets:
    """Return numbers as the library reads them, uint8[n, size], in words of 64 bits."""
    octets = b"".join(number.to_bytes(size, "little") for number in numbers)
    return np.frombuffer(octets, np.uint8).reshape(len(numbers), size).copy()


class Lanes:
    """One function of the library, with its arguments for a full batch.

    The private operation of RSA is faster or slower as the stack happens to lie modulo 64 where it is called: for
    RSA-3072, three of the four places take a third of the rate. Arguments too many are ignored, and each two of them
    shift the stack by 16 octets. So the first calls try how many are best, and the others follow; from time to time
    that is tried anew, for a caller may come by another way, with another stack. All calls do the same work.

    Args:
        function: what is called for eight rows at a time.
        arguments: a table of addresses, uint64[rows], each; or what is the same in all calls.
        shifting: whether to look for the best place of the stack.
    """

    def __init__(self, function: Function, *arguments: Addresses | int | None, shifting: bool = False) -> None:
        self._function = function
        self._arguments = arguments  # keeps the tables where they are
        self._shifting, self._shift = shifting, 0
        self._spent: list[float] = []  # CPU seconds of the trials
        self._settled_calls = 0
        tables = [argument for argument in arguments if isinstance(argument, np.ndarray)]
        step = LANES * tables[0].itemsize
        self._calls = [
            tuple(one.ctypes.data + at if isinstance(one, np.ndarray) else one for one in arguments)
            for at in range(0, tables[0].nbytes, step)
        ]

    def run(self, rows: int, first: int, task: str) -> None:
        """Call the function for the first `rows` rows and the rest of their lanes.

        Args:
            rows: of the batch.
            first: number of the first message, for the error.
            task: what fails where a lane does.

        Raises:
            SigningError: a lane failed.
        """
        calls = self._calls[: full_lanes(rows) // LANES]
        # One status a call: four bits a lane, zero where all went well.
        statuses = self._try(calls) if self._shifting else []
        function, shift = self._function, (None,) * self._shift
        statuses += [function(*arguments, *shift) for arguments in calls[len(statuses) :]]
        if any(statuses):
            call, status = next((i, status) for i, status in enumerate(statuses) if status)
            lane = next(lane for lane in range(LANES) if status >> (4 * lane) & 15)
            number = first + call * LANES + lane
            raise SigningError(f"libcrypto_mb could not {task} message {number}: status {status:#010x}")

    def _try(self, calls: Sequence[tuple[int | None, ...]]) -> list[int]:
        """Make as many of the calls as there are trials left; return their statuses."""
        if self._settled_calls >= SETTLED_CALLS:
            self._spent, self._settled_calls = [], 0
        statuses = []
        # A plain loop, as a generator inside of a function of C would have another stack than `run`.
        for arguments in calls[: len(SHIFTS) - len(self._spent)]:
            shift = (None,) * SHIFTS[len(self._spent)]
            started = time.thread_time()
            statuses.append(self._function(*arguments, *shift))
            self._spent.append(time.thread_time() - started)
        self._shift = SHIFTS[self._spent.index(min(self._spent))]
        self._settled_calls += len(calls) - len(statuses)
        return statuses


class Table:
    """Where something lies for each row of a batch.

    Attributes:
        addresses: uint64[rows].
    """

    def __init__(self, rows: int) -> None:
        self.addresses: Addresses = np.zeros(rows, np.uint64)

    def lead_to(self, rows: Octets, spare: Octets | None = None) -> None:
        """Lead to rows of an array; lanes left over to those of `spare`, without one to the first row."""
        count = len(rows)
        self.addresses[:count] = row_addresses(rows)
        left = self.addresses[count : full_lanes(count)]
        left[:] = self.addresses[0] if spare is None else row_addresses(spare)[: len(left)]

    def leads_to_keys(self, places: Addresses, keys: KeyIndexes) -> bool:
        """Tell whether it leads to the key of each row still."""
        return np.array_equal(self.addresses[: len(keys)], places[keys])

    def lead_to_keys(self, places: Addresses, keys: KeyIndexes) -> None:
        """Lead to the key of each row; lanes left over to that of the first row.

        Raises:
            IndexError: an index leads to no key.
        """
        rows = len(keys)
        places.take(keys, out=self.addresses[:rows])
        self.addresses[rows : full_lanes(rows)] = self.addresses[0]
