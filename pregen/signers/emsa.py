"""Encoded messages of RSA signatures (RFC 8017, 9), with SHA-256, row by row."""

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from pregen.signers.base import Octets, digests

_HASH_BYTES = 32
SALT_BYTES = 32
# The same, as cryptography names them, by `Algorithm.padding`.
PADDINGS: dict[str | None, padding.AsymmetricPadding] = {
    "pkcs1v15": padding.PKCS1v15(),
    "pss": padding.PSS(padding.MGF1(hashes.SHA256()), SALT_BYTES),
}
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, 9.2, note 1


def encode_pkcs1v15(hashed: Octets, size: int) -> Octets:
    """Return EMSA-PKCS1-v1_5 (9.2) of digests, uint8[n, 32], as uint8[n, size].

    >>> encode_pkcs1v15(np.zeros((3, 32), np.uint8), 256)[0, :3].tolist()
    [0, 1, 255]
    """
    head = b"\x00\x01".ljust(size - _HASH_BYTES - len(_DIGEST_INFO) - 1, b"\xff") + b"\x00" + _DIGEST_INFO
    out = np.empty((len(hashed), size), np.uint8)
    out[:, : len(head)] = np.frombuffer(head, np.uint8)
    out[:, len(head) :] = hashed
    return out


def encode_pss(hashed: Octets, salts: Octets, size: int) -> Octets:
    """Return EMSA-PSS (9.1.1) of digests and salts, uint8[n, 32] each, as uint8[n, size].

    Steps as there; the modulus has 8 * size bits, so one bit is cleared (step 11).
    """
    rows = len(hashed)
    masked = size - _HASH_BYTES - 1
    out = np.zeros((rows, size), np.uint8)
    block, tag = out[:, :masked], out[:, masked:-1]
    tag[:] = digests(np.hstack([np.zeros((rows, 8), np.uint8), hashed, salts]), "sha256")  # 5, 6
    block[:, -SALT_BYTES - 1] = 1  # 7, 8
    block[:, -SALT_BYTES:] = salts
    block ^= _mgf1(tag, masked)  # 9, 10
    block[:, 0] &= 0x7F  # 11
    out[:, -1] = 0xBC  # 12
    return out


def _mgf1(seeds: Octets, size: int) -> Octets:
    """Return the mask of each seed (B.2.1), uint8[n, size]."""
    count, width = -(-size // _HASH_BYTES), seeds.shape[1] + 4
    blocks = np.zeros((len(seeds), count, width), np.uint8)
    blocks[:, :, :-4] = seeds[:, None]
    blocks[:, :, -1] = np.arange(count)
    hashed = digests(blocks.reshape(len(seeds) * count, width), "sha256")
    return hashed.reshape(len(seeds), count * _HASH_BYTES)[:, :size]
