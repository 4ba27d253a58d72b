"""A request or a response in whatever form it was found: in a log, in a file, on the wire; and whose certificates.

A GET path with or without what stands before the request, percent-encoded or not; a line of an access log that holds
one; a URL; base64; hex; PEM; DER.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from pregen.errors import InputError
from pregen.identities import Identity, identity_of, read_identity
from pregen.requests import Request, read_request
from pregen.responses import Response, read_response
from pregen.subjects import name_text
from storage.certid import HASH_NAMES, CertID
from storage.edge.path import readings
from storage.edge.request import MalformedRequestError
from storage.reader import Reader

MAX_BYTES = 1 << 24  # far more than any response; a file that is larger is something else
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----\s*([A-Za-z0-9+/=\s]+?)-----END [A-Z0-9 ]+-----")
_LOGGED = re.compile(rb"\b(?:GET|HEAD) (\S+)")
_HEX = re.compile(rb"(?:0x)?((?:[0-9a-fA-F]{2}[:\s]*)+)")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was found, in which form: one request or response, or several where merged slashes leave a choice."""

    form: str
    found: tuple[Request | Response, ...]


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """An issuer that CertIDs are compared with: what it is called, and who it is."""

    name: str
    subject: str
    hashes: frozenset[tuple[str, bytes, bytes]]


def decode(data: bytes) -> Decoded:
    """Return the request or response that some octets or some text are.

    Raises:
        InputError: they are neither, in any form.
    """
    for form, candidates in _forms(data):
        found = tuple(one for der in candidates if (one := _read(der)) is not None)
        if found:
            return Decoded(form, found)
    shown = data[:40].decode("ascii", "backslashreplace")
    raise InputError(
        f"{shown!r}{' ...' if len(data) > 40 else ''}: neither an OCSP request nor a response, as a GET path, a "
        "line of an access log, base64, hex, PEM or DER; it may be cut off: give all of it, in quotes"
    )


def _read(der: bytes) -> Request | Response | None:
    for read in (read_request, read_response):
        try:
            return read(der)
        except ValueError:
            continue
    return None


def _forms(data: bytes) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Yield octets that the data may mean, with the name of the form, the surest first."""
    yield "DER", [data]
    text = data.strip()
    if blocks := _PEM.findall(text):
        yield "PEM", [base64.b64decode(block) for block in blocks]
    if whole := _HEX.fullmatch(text):
        yield "hex", [bytes.fromhex(re.sub(rb"[:\s]", b"", whole[1]).decode())]
    letters = re.sub(rb"\s", b"", unquote_to_bytes(text)).translate(_URL_SAFE).rstrip(b"=")
    yield "base64", _in_base64(letters)
    logged = _LOGGED.search(text)
    yield "path", _in_path((logged[1] if logged else text).partition(b"?")[0])


def _in_base64(letters: bytes) -> list[bytes]:
    try:
        return [base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)]
    except ValueError:
        return []


def _in_path(path: bytes) -> list[bytes]:
    try:
        return [reading.der for reading in readings(path)]
    except MalformedRequestError:
        return []


def issuers_of_files(paths: Sequence[Path]) -> list[KnownIssuer]:
    """Return the issuers whose certificates are in files.

    Raises:
        ConfigError: one cannot be read.
    """
    return [_known(str(path), read_identity(path)) for path in paths]


def issuers_of_store(reader: Reader) -> list[KnownIssuer]:
    """Return the issuers that the current generation of a store answers for."""
    found: dict[tuple[str, frozenset[tuple[str, bytes, bytes]]], KnownIssuer] = {}
    for loaded in reader.current.tables.values() if reader.current else ():
        for issuer in loaded.tables.issuers:
            hashes = frozenset((oid, name, issuer.key_hashes[oid]) for oid, name in issuer.name_hashes.items())
            subject = _subject_of(issuer.certificates)
            found[issuer.label, hashes] = KnownIssuer(issuer.label, subject, hashes)
    return list(found.values())


def issuer_of(cert_id: CertID, issuers: Sequence[KnownIssuer]) -> KnownIssuer | None:
    """Return who has issued the certificate that a CertID names."""
    return next((one for one in issuers if cert_id[:3] in one.hashes), None)


def _known(name: str, identity: Identity) -> KnownIssuer:
    ids = [identity.cert_id(hash_name, b"\0") for hash_name in HASH_NAMES.values()]
    return KnownIssuer(name, _text(identity.subject), frozenset(cert_id[:3] for cert_id in ids))


def _subject_of(certificates: Sequence[bytes]) -> str:
    try:
        return _text(identity_of(certificates[0]).subject) if certificates else ""
    except ValueError:
        return ""


def _text(name: bytes) -> str:
    try:
        return name_text(name)
    except ValueError:
        return ""
