"""The tail of an ORC file (orc_proto.proto, FileTail), as far as it tells whether columns are encrypted.

Nothing else of it does: readers that have no key get masked values, nulls mostly, and a certificate whose revocation
is masked looks good. The reader of ORC gives the tail unpacked, as a message of protocol buffers.
"""

from collections.abc import Iterator

import pyarrow as pa

_FOOTER = 2  # of FileTail
_STRIPES, _ENCRYPTION = 3, 10  # of Footer
_STRIPE_KEYS = {6, 7}  # of StripeInformation: encryptStripeId, encryptedLocalKeys
_VARINT, _LENGTH = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}


def is_encrypted(tail: bytes) -> bool:
    """Whether a file has encrypted columns.

    Raises:
        pa.ArrowInvalid: the tail is damaged.

    >>> is_encrypted(bytes.fromhex("0a00 1202 0803")), is_encrypted(bytes.fromhex("1204 5202 0800"))
    (False, True)
    """
    try:
        return any(_tells(footer) for number, footer in _fields(tail) if number == _FOOTER)
    except IndexError:
        raise pa.ArrowInvalid("its tail is damaged") from None


def _tells(footer: bytes) -> bool:
    for number, value in _fields(footer):
        if number == _ENCRYPTION and value:
            return True
        if number == _STRIPES and any(own in _STRIPE_KEYS for own, _ in _fields(value)):
            return True
    return False


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each field, and its octets where it has a length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind, size = key & 7, 0
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _LENGTH:
            size, at = _varint(message, at)
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        else:
            raise IndexError(kind)
        if at + size > len(message):
            raise IndexError(at)
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a whole number, and where it ends."""
    value = shift = 0
    while message[at] & 128:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise IndexError(at)
    return value | message[at] << shift, at + 1
