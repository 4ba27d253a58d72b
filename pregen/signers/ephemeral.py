"""Ephemeral keys of ECDSA: one fresh random number below the curve's order for each signature.

Whoever learns one ephemeral key, or sees one used twice, has the responder's key. So they are read from the kernel
straight into the batch's own buffer, rejected outside of [1, n-1] (no reduction, hence no bias), overwritten after
use, and never stored. Random rather than deterministic (RFC 6979): several HMACs a signature would cost more than all
the rest of our own work, and every key here rests on the kernel's generator anyway.
"""

import os
import stat
import sys
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pregen.errors import SigningError

_LINUX_DEVICE = os.makedev(1, 9)  # Documentation/admin-guide/devices.txt of Linux
_MOUNT_IT = "give this process (its container, its chroot) the system's own /dev, or use --engine software"


class RandomSource(Protocol):
    """Something to read random octets from: in the product always the kernel."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from its beginning; return how many octets that were."""


class KernelSource:
    """The kernel's generator, unbuffered, so that no copy of a key stays in this process; open for its owner's life.

    Args:
        device: where it is.

    Raises:
        SigningError: it does not open, or it is something else.
    """

    _descriptor = -1  # also where it did not open

    def __init__(self, device: Path = Path("/dev/urandom")) -> None:
        try:
            self._descriptor = os.open(device, os.O_RDONLY)
            found = os.fstat(self._descriptor)
        except OSError as e:
            raise SigningError(f"the kernel's generator does not open ({e}): {_MOUNT_IT}") from e
        # A file or /dev/zero in its place would give the responder's key away with the first two signatures.
        if sys.platform == "linux" and not (stat.S_ISCHR(found.st_mode) and found.st_rdev == _LINUX_DEVICE):
            raise SigningError(f"{device} is not the kernel's generator, character device 1:9: {_MOUNT_IT}")

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer from its beginning; return how many octets that were."""
        return os.readv(self._descriptor, [buffer])


def fill(memory: NDArray[np.uint64] | NDArray[np.uint8], source: RandomSource) -> None:
    """Read random octets straight into an array that lies in one piece.

    Raises:
        SigningError: the source gives no more octets.
    """
    rest = memory.data.cast("B")
    while rest:
        # Less than asked for is no failure: the kernel stops where a signal, a stopped job or a frozen container
        # interrupts it.
        got = source.readinto(rest)
        if not got:
            raise SigningError(f"the kernel's generator gave {got} octets where {len(rest)} were asked for")
        rest = rest[got:]


class EphemeralKeys:
    """A buffer of ephemeral keys.

    Attributes:
        words: uint64[rows, words], little-endian: each row is one key.
    """

    def __init__(self, order: int, rows: int, source: RandomSource) -> None:
        size = (order.bit_length() + 63) // 64
        self.words: NDArray[np.uint64] = np.zeros((rows, size), np.uint64)
        self._order = order
        self._top = np.uint64(order >> (64 * (size - 1)))
        # Bits beyond the order's are cut off, which is uniform as well; otherwise nearly every draw on P-521 would be
        # outside of the range.
        self._mask = np.uint64((1 << (order.bit_length() - 64 * (size - 1))) - 1)
        self._source = source

    def draw(self, rows: int) -> None:
        """Put fresh keys into the first `rows` rows.

        Raises:
            SigningError: the source gives no more octets.
        """
        words = self.words[:rows]
        self._read(words)
        top = words[:, -1]
        # Any key outside of [1, n-1] has a top word at or above the order's, or of zero; nearly none has, so the
        # few are compared whole, all words.
        for row in np.nonzero((top >= self._top) | (top == 0))[0]:
            while not self._in_range(row):
                self._read(self.words[row : row + 1])

    def wipe(self, rows: int) -> None:
        """Overwrite the keys of the first `rows` rows."""
        self.words[:rows] = 0

    def _in_range(self, row: np.intp) -> bool:
        return 1 <= int.from_bytes(self.words[row].astype("<u8").tobytes(), "little") < self._order

    def _read(self, words: NDArray[np.uint64]) -> None:
        try:
            fill(words, self._source)
        except SigningError:
            self.wipe(len(self.words))
            raise
        words[:, -1] &= self._mask
