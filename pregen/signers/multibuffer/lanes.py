"""Eight rows a call: the library takes eight addresses for each argument, and answers with eight statuses.

For each argument there is a table with one address a row. A call names only where in its tables its eight lanes begin,
so the calls of a full batch are prepared once, and a batch fills tables and buffers. Lanes without a message must not
lead anywhere else: they get harmless work, and what they make is thrown away.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pregen.errors import SigningError
from pregen.signers.base import KeyIndexes, Octets
from pregen.signers.multibuffer.library import Function

LANES = 8

Addresses: TypeAlias = NDArray[np.uint64]


def full_lanes(rows: int) -> int:
    """Return how many rows the calls for `rows` rows have.

    >>> full_lanes(9)
    16
    """
    return -(-rows // LANES) * LANES


def batches(messages: Octets, keys: KeyIndexes, rows: int) -> Iterator[slice]:
    """Return where each batch of up to `rows` messages lies.

    Raises:
        ValueError: there are not as many keys as messages.
    """
    if len(messages) != len(keys):
        raise ValueError(f"{len(messages)} messages and {len(keys)} indexes of keys: each message needs one")
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

    Args:
        function: what is called for eight rows at a time.
        arguments: a table of addresses, uint64[rows], each; or what is the same in all calls.
    """

    def __init__(self, function: Function, *arguments: Addresses | int | None) -> None:
        self._function = function
        self._arguments = arguments  # keeps the tables where they are
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
        function = self._function
        # One status a call: four bits a lane, zero where all went well.
        statuses = [function(*arguments) for arguments in self._calls[: full_lanes(rows) // LANES]]
        if any(statuses):
            call, status = next((i, status) for i, status in enumerate(statuses) if status)
            lane = next(lane for lane in range(LANES) if status >> (4 * lane) & 15)
            number = first + call * LANES + lane
            raise SigningError(f"libcrypto_mb could not {task} message {number}: status {status:#010x}")


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

    def lead_to_keys(self, places: Addresses, keys: KeyIndexes) -> None:
        """Lead to the key of each row; lanes left over to that of the first row.

        Raises:
            IndexError: an index leads to no key.
        """
        rows = len(keys)
        places.take(keys, out=self.addresses[:rows])
        self.addresses[rows : full_lanes(rows)] = self.addresses[0]
