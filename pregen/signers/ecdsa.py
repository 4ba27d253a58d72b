"""ECDSA signatures between their DER form and the stored one: r and s, each as wide as the curve's order."""

from collections.abc import Sequence

import numpy as np

from pregen.errors import SigningError
from pregen.signers.base import Octets


def fixed_width(signatures: Sequence[bytes], width: int) -> Octets:
    """Return DER signatures (RFC 3279, 2.2.3) as r || s, uint8[n, 2 * width].

    >>> fixed_width([bytes.fromhex("300702020080020101")], 2).tobytes().hex()
    '00800001'

    Raises:
        SigningError: one is not the minimal DER of two numbers of at most `width` octets.
    """
    lengths = np.fromiter(map(len, signatures), np.int64, len(signatures))
    # Octets of zero in front let each number be read backwards from its end, whatever its length.
    data = np.frombuffer(bytes(width) + b"".join(signatures), np.uint8)
    start = width + np.cumsum(lengths) - lengths
    # SEQUENCE and its length, of one octet or two (P-521), then INTEGER
    long = data[start + 1] == 0x81
    r_at = start + 4 + long
    r_bytes = data[r_at - 1].astype(np.int64)
    s_at = r_at + r_bytes + 2
    s_bytes = data[np.minimum(s_at - 1, len(data) - 1)].astype(np.int64)
    if ((data[start] != 0x30) | (s_at + s_bytes != start + lengths)).any():
        raise SigningError("the engine returned something that is no ECDSA signature")
    out = np.empty((len(signatures), 2 * width), np.uint8)
    columns = np.arange(-width, 0)
    for half, at, size in ((out[:, :width], r_at, r_bytes), (out[:, width:], s_at, s_bytes)):
        if (size > width + 1).any() or ((size == width + 1) & (data[at] != 0)).any():
            raise SigningError("the engine returned an ECDSA signature that is too long for its curve")
        half[:] = data[(at + size)[:, None] + columns]
        half[columns[None, :] < -size[:, None]] = 0
    return out
