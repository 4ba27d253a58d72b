"""One certificate's response out of a store, by the same reader as the edge."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pregen.errors import NotFoundError, UsageError
from pregen.identities import read_identity
from storage.certid import MAX_SERIAL_BYTES, CertID
from storage.commits import Commit
from storage.reader import Answer, open_reader
from storage.stores import Store

_HEX = re.compile(r"[+-]?(0x)?[0-9a-f]+(:[0-9a-f]+)*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A response, and what was asked for."""

    cert_id: CertID
    answer: Answer


def look_up(
    store: Store,
    issuer: Path,
    *,
    cert: Path | None,
    serial: str | None,
    hash_name: str,
    tell_commit: Callable[[Commit], None] = lambda _: None,
) -> Found:
    """Return the response for a certificate file, or for a serial number in hex; tell from which commit.

    Raises:
        UsageError: the serial is not hex, or too long.
        ConfigError: a certificate file cannot be read.
        NotFoundError: the store is not authoritative for that certificate.
        StorageError, OSError: the store is empty or damaged, or does not answer.
    """
    authority = read_identity(issuer)
    octets = serial_octets(serial or "") if cert is None else read_identity(cert).serial
    cert_id = authority.cert_id(hash_name, octets)
    reader = open_reader(store)
    if reader.current:
        tell_commit(reader.current.commit)
    answer = reader.lookup(cert_id)
    if answer is None:
        raise NotFoundError(
            f"{store.url} has no response for serial {cert_id.serial_number:x} of {issuer} with a {hash_name} CertID: "
            "an edge answers unauthorized"
        )
    return Found(cert_id, answer)


def serial_octets(text: str) -> bytes:
    """Return the DER content octets of a serial number in hex, as people write it.

    >>> serial_octets("80").hex(), serial_octets("-80").hex(), serial_octets("0x0A:0b").hex()
    ('0080', '80', '0a0b')

    Raises:
        UsageError: not hex, or longer than any serial.
    """
    compact = text.replace(" ", "")
    if not _HEX.fullmatch(compact):
        raise UsageError(f"--serial {text!r} is no hex number: digits, with a sign where it is negative")
    number = int(compact.replace(":", ""), 16)
    size = max(1, ((number if number >= 0 else ~number).bit_length() + 8) // 8)
    if size > MAX_SERIAL_BYTES:
        raise UsageError(f"--serial {text!r} has {size} octets: no certificate has more than {MAX_SERIAL_BYTES}")
    return number.to_bytes(size, "big", signed=True)
