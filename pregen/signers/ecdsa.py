"""ECDSA signatures between their DER form and the stored one: r and s, each as wide as the curve's order."""

from collections.abc import Sequence

import numpy as np

from pregen.errors import SigningError
from pregen.signers.base import Octets
from storage.der import INTEGER, SEQUENCE

FURTHEST = 4 + 2 * 257  # where two lengths of 255 lead to, at most


def fixed_width(signatures: Sequence[bytes], width: int) -> Octets:
    """Return DER signatures (RFC 3279, 2.2.3) as r || s, uint8[n, 2 * width].

    >>> fixed_width([bytes.fromhex("300702020080020101")], 2).tobytes().hex()
    '00800001'

    Raises:
        SigningError: one is not the minimal DER of two numbers of at most `width` octets.
    """
    lengths = np.fromiter(map(len, signatures), np.int64, len(signatures))
    # Zeros in front let each number be read backwards from its end, whatever its length; those behind let lengths
    # that lie be followed.
    data = np.frombuffer(bytes(width) + b"".join(signatures) + bytes(FURTHEST), np.uint8)
    start = width + np.cumsum(lengths) - lengths
    # SEQUENCE and its length, of one octet or two (P-521), then twice INTEGER, its length, its octets
    long = (data[start + 1] == 0x81).astype(np.int64)
    r_at = start + 4 + long
    r_bytes = data[r_at - 1].astype(np.int64)
    s_at = r_at + r_bytes + 2
    s_bytes = data[s_at - 1].astype(np.int64)
    content = data[start + 1 + long].astype(np.int64)
    wrong = (data[start] != SEQUENCE) | (content != lengths - 2 - long) | (long != (content > 127))
    wrong |= s_at + s_bytes != start + lengths
    for at, size in ((r_at, r_bytes), (s_at, s_bytes)):
        # minimal and not negative: a zero in front if, and only if, the top bit would be the sign
        top, padded = data[at], (data[at] == 0) & (size > 1)
        wrong |= (data[at - 2] != INTEGER) | (size == 0) | (top > 127) | (padded & (data[at + 1] < 128))
        wrong |= size - padded > width
    if wrong.any():
        raise SigningError(f"the engine returned something that is no ECDSA signature of {width} octets twice")
    out = np.empty((len(signatures), 2 * width), np.uint8)
    columns = np.arange(-width, 0)
    for half, at, size in ((out[:, :width], r_at, r_bytes), (out[:, width:], s_at, s_bytes)):
        half[:] = data[(at + size)[:, None] + columns]
        half[columns[None, :] < -size[:, None]] = 0
    return out
