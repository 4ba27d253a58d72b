"""Ways in which the keys of overlays can be damaged: changes of the golden store that has them."""

import hashlib
import struct
from collections.abc import Callable

from storage.errors import BadMagicError, ChecksumError, MalformedError, TruncatedError, UnsupportedVersionError
from tests.storage.damage import Case, Objects, edited, flipped, manifest_of, with_manifest

_HEADER_BYTES = 32


def _name(objects: Objects) -> str:
    return str(manifest_of(objects)["overlay_keys"])


def _other(change: Callable[[bytes], bytes]) -> Callable[[Objects], Objects]:
    """Return a change that stores other keys under their right name, in a new commit."""

    def changed(objects: Objects) -> Objects:
        octets = change(objects[_name(objects)])
        name = f"keys/{hashlib.sha256(octets).hexdigest()}"
        return {name: octets, **with_manifest(objects, {**manifest_of(objects), "overlay_keys": name})}

    return changed


def _flipped(objects: Objects) -> Objects:
    return {_name(objects): flipped(objects[_name(objects)], _HEADER_BYTES)}


def _named_otherwise(objects: Objects) -> Objects:
    return with_manifest(objects, {**manifest_of(objects), "overlay_keys": "packs/1"})


def _out_of_order(octets: bytes) -> bytes:
    first, second = struct.unpack_from("<II", octets, _HEADER_BYTES)
    return edited(octets, _HEADER_BYTES, struct.pack("<II", second, first))


def _twice(octets: bytes) -> bytes:
    (first,) = struct.unpack_from("<I", octets, _HEADER_BYTES)
    return edited(octets, _HEADER_BYTES, struct.pack("<II", first, first))


CASES_OF_OVERLAYS = (
    Case("keys-flipped", ChecksumError, "load", _flipped, is_committed=True),
    Case("keys-of-another-name", MalformedError, "load", _named_otherwise, is_committed=True),
    Case("keys-magic", BadMagicError, "load", _other(lambda octets: flipped(octets, 3)), is_committed=True),
    Case(
        "keys-future-version",
        UnsupportedVersionError,
        "load",
        _other(lambda of: edited(of, 8, b"\2")),
        is_committed=True,
    ),
    Case("keys-wide", MalformedError, "load", _other(lambda of: edited(of, 10, b"\3")), is_committed=True),
    Case("keys-short", TruncatedError, "load", _other(lambda octets: octets[:-1]), is_committed=True),
    Case("keys-long", TruncatedError, "load", _other(lambda octets: octets + b"\0"), is_committed=True),
    Case("keys-without-header", TruncatedError, "load", _other(lambda octets: octets[:31]), is_committed=True),
    Case("keys-out-of-order", MalformedError, "load", _other(_out_of_order), is_committed=True),
    Case("keys-twice", MalformedError, "load", _other(_twice), is_committed=True),
    Case("keys-of-no-overlay", MalformedError, "load", _other(lambda of: of[:-1] + b"\x63"), is_committed=True),
)
