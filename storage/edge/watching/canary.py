"""Certificates whose status is known, asked for as clients do: an edge that answers them wrongly is degraded.

A file has one a line, or certificates in PEM, each below the word that says what is true of it::

    # status      issuer   serial (hex)        until when that is so (may be left out)
    good          r1       1d4e2f00a1
    revoked       r1       3b00c4              2027-03-01T00:00:00Z
    not-stored    r1       7fffffffffffff

    good
    -----BEGIN CERTIFICATE-----
    ...

Issuers are called as the configuration of the publisher calls them. One that has expired is asked for no more: its
answer may have gone from the store.
"""

import base64
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1, sha256
from pathlib import Path
from typing import Final, TypeAlias

from storage.certid import MAX_SERIAL_BYTES, CertID, read_cert_id, serial_text
from storage.certificate import not_after_of
from storage.der import BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, Cursor, tlv
from storage.edge.source import Loaded

NOT_STORED: Final = "not-stored"
STATUSES: Final = ("good", "revoked", "unknown", NOT_STORED)
"""What may be known of a certificate; the last: the store has no answer for it."""

MOST_CANARIES: Final = 1_000

_HashedIssuer: TypeAlias = tuple[str, bytes, bytes]

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_STATUS_OF_TAG = {0x80: "good", 0xA1: "revoked", 0x82: "unknown"}  # RFC 6960, 4.2.1: CertStatus
_EXPLICIT_0 = 0xA0
_VERSION, _EXTENSIONS, _KEY_ID = 0xA0, 0xA3, 0x80
_AUTHORITY_KEY_ID = bytes.fromhex("551d23")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A certificate whose status is known.

    Attributes:
        status: what is true of it, one of `STATUSES`.
        serial: content octets of its DER INTEGER.
        issuer: what its issuer is called; None: it is known by its name.
        name: DER of the issuer's name; None: it is known by what it is called.
        key_id: of the issuer's key, mostly the SHA-1 of it; None: not known.
        until: until when that is so, in seconds since 1970; None: for good.
    """

    status: str
    serial: bytes
    issuer: str | None = None
    name: bytes | None = None
    key_id: bytes | None = None
    until: int | None = None

    @property
    def text(self) -> str:
        """What messages call it."""
        return f"{serial_text(self.serial)} of {self.issuer or 'the issuer that its certificate names'}"


def cert_ids_of(canaries: Iterable[Canary], loaded: Loaded) -> list[list[CertID]]:
    """Return by which CertIDs clients may ask for each of these; none where its issuer is not in the store."""
    by_label, by_name = defaultdict[str, list[_HashedIssuer]](list), defaultdict[bytes, list[_HashedIssuer]](list)
    for issuer, label in loaded.issuers.items():
        by_label[label].append(issuer)
        by_name[issuer[1]].append(issuer)
    found = []
    for canary in canaries:
        issuers = by_label[canary.issuer] if canary.issuer is not None else list[_HashedIssuer]()
        for make in (sha1, sha256) if canary.name is not None else ():
            issuers = [*issuers, *by_name[make(canary.name or b"").digest()]]
        # Of several issuers of one name, the one whose key has signed it.
        own = [one for one in issuers if one[2] == canary.key_id]
        found.append([CertID(*one, canary.serial) for one in own or issuers])
    return found


def status_in(response: bytes, cert_id: CertID) -> str | None:
    """Return what a response says of a certificate; None: nothing.

    Raises:
        ValueError: it is no response of the basic type.
    """
    ocsp = Cursor(response).take(SEQUENCE)
    if ocsp.take(ENUMERATED).octets != b"\0":
        return None
    response_bytes = ocsp.take(_EXPLICIT_0).take(SEQUENCE)
    response_bytes.take(OID)
    data = response_bytes.take(OCTET_STRING).take(SEQUENCE).take(SEQUENCE)
    data.take_if(_EXPLICIT_0)  # version
    data.skip()  # responderID
    data.take(GENERALIZED_TIME)
    singles = data.take(SEQUENCE)
    while not singles.at_end():
        single = singles.take(SEQUENCE)
        if read_cert_id(single) == cert_id:
            return _STATUS_OF_TAG.get(single.octets[0])
    return None


def judge(canary: Canary, answers: list[str]) -> str | None:
    """Return what is wrong with how a canary was answered; None: nothing.

    An issuer's answers may be there for one hash alone, so that by the other hash nothing is stored.

    Args:
        canary: which one.
        answers: by each of its CertIDs, a status, ``not-stored``, or why there was none.
    """
    if not answers:
        return None if canary.status == NOT_STORED else "its issuer is not in the store"
    said = [answer for answer in answers if answer != NOT_STORED] or [NOT_STORED]
    wrong = [answer for answer in said if answer != canary.status]
    return f"it was answered {wrong[0]}" if wrong else None


def read_canaries(path: Path) -> tuple[Canary, ...]:
    """Return the canaries of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file of canaries; the text says where and why.
    """
    try:
        canaries = tuple(_canaries(path.read_text("utf-8")))
    except UnicodeDecodeError:
        raise ValueError(f"{path}: no text; canaries are lines, or certificates in PEM") from None
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None
    if not 0 < len(canaries) <= MOST_CANARIES:
        raise ValueError(f"{path}: {len(canaries)} canaries; give 1 to {MOST_CANARIES}")
    return canaries


def _canaries(text: str) -> Iterator[Canary]:
    status: str | None = None
    begun, pem = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
            if begun and line.strip() == _END:
                yield _of_certificate(status, "".join(pem))
                begun, pem = 0, []
            elif begun:
                pem += words
            elif line.strip() == _BEGIN:
                begun = number
            elif len(words) == 1:
                status = _status(words[0])
            elif words:
                yield _of_words(words)
        except ValueError as error:
            raise ValueError(f"line {begun or number}: {error}") from None
    if begun:
        raise ValueError(f"line {begun}: a certificate that does not end")


def _status(word: str) -> str:
    if word not in STATUSES:
        raise ValueError(f"{word!r} is not what may be known of a certificate: write {', '.join(STATUSES)}")
    return word


def _of_words(words: list[str]) -> Canary:
    if len(words) not in (3, 4):
        raise ValueError("write status, issuer, serial in hex and, if need be, until when that is so")
    try:
        serial = int(words[2].replace(":", ""), 16)
    except ValueError:
        raise ValueError(f"{words[2]!r} is no serial in hex") from None
    octets = serial.to_bytes((serial if serial >= 0 else ~serial).bit_length() // 8 + 1, "big", signed=True)
    if len(octets) > MAX_SERIAL_BYTES:
        raise ValueError(f"a serial has at most {MAX_SERIAL_BYTES} octets")
    until = _instant(words[3]) if len(words) > 3 else None
    return Canary(status=_status(words[0]), issuer=words[1], serial=octets, until=until)


def _instant(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None:
        raise ValueError(f"{text!r} is no instant: write 2027-03-01T00:00:00Z")
    return int(instant.timestamp())


def _of_certificate(status: str | None, pem: str) -> Canary:
    if status is None:
        raise ValueError(f"above a certificate stands what is true of it: {', '.join(STATUSES)}")
    try:
        der = base64.b64decode(pem, validate=True)
        outer = Cursor(der)
        body = outer.take(SEQUENCE).take(SEQUENCE)
        outer.finish()
        body.take_if(_VERSION)
        serial = body.take(INTEGER).octets
        body.skip()  # signature
        name = body.take(SEQUENCE).octets
        key_id = _authority_key_id(body)
    except ValueError as nonsense:
        raise ValueError(f"a certificate that cannot be read: {nonsense}") from None
    return Canary(status=status, serial=serial, name=tlv(SEQUENCE, name), key_id=key_id, until=not_after_of(der))


def _authority_key_id(body: Cursor) -> bytes | None:
    """Return which key has signed a certificate, of what stands behind its issuer (RFC 5280, 4.2.1.1)."""
    while not body.at_end():
        extensions = body.take_if(_EXTENSIONS)
        if extensions is None:
            body.skip()
            continue
        listed = extensions.take(SEQUENCE)
        while not listed.at_end():
            extension = listed.take(SEQUENCE)
            if extension.take(OID).octets == _AUTHORITY_KEY_ID:
                extension.take_if(BOOLEAN)
                key_id = extension.take(OCTET_STRING).take(SEQUENCE).take_if(_KEY_ID)
                return None if key_id is None else key_id.octets
    return None
