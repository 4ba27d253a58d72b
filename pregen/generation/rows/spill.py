"""Routed rows: arrays of 48 octets each, whatever the length of their serials."""

import numpy as np
from numpy.typing import NDArray

from pregen.snapshot import MAX_SERIAL_BYTES
from storage.overlay_part import NO_EXPIRY_32

# What a row holds: `code` is that of its group (`groups.Group`); `not_after` is cut to 32 bits, as by
# `clipped`; `row` is its number in its file, modulo 2**32; `reason` is `WITHHELD` in a row that gets no response, and
# whose certificate must get none by another row either; there, `revoked_at` is when a certificate expires that is left
# out for its status alone, and else 0. What follows a shorter serial means nothing.
SPILLED = np.dtype(
    [
        ("key", np.uint64),
        ("row", np.uint32),
        ("not_after", np.uint32),
        ("revoked_at", np.uint32),
        ("code", np.uint32),
        ("file", np.uint16),
        ("reason", np.int8),
        ("serial", np.void, MAX_SERIAL_BYTES),
    ]
)
WITHHELD = -2
# Flags in `code`, which is less: the row is of a precertificate, or was spooled for another issuer before.
PRECERTIFICATE_BIT = np.uint32(1 << 31)
AGAIN_BIT = np.uint32(1 << 30)
FLAGS = PRECERTIFICATE_BIT | AGAIN_BIT
ROW_BYTES = SPILLED.itemsize
SERIAL_AT = ROW_BYTES - MAX_SERIAL_BYTES
Spilled = NDArray[np.void]
Places = NDArray[np.intp]


def clipped(seconds: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return times in 32 bits, those before 1970 and after 2106 as the first and the last second that these can name.

    They are only compared with one other time, which is clipped alike. Where it lies outside too, all are kept: nobody
    loses an answer.

    >>> clipped(np.array([-1, 5, 2**62])).tolist()
    [0, 5, 4294967295]
    """
    return np.clip(seconds, 0, NO_EXPIRY_32).astype(np.uint32)


def take(rows: Spilled, places: Places) -> Spilled:
    """Return the rows at `places`: as if indexed, but thirty times as fast, since no field is looked at."""
    return rows.view(f"V{ROW_BYTES}").take(places).view(SPILLED)
