"""Requests and responses in whatever form they were found: in a log, in a file, on the wire; and whose certificates.

A GET path with or without what stands before the request, percent-encoded or not; a line of a log that holds one, or
the octets of a POST; a URL; base64; hex; PEM; DER, also behind the head of an HTTP message. Of several lines or PEM
blocks, each is read by itself.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from pregen.errors import InputError
from pregen.identities import Identity, identity_of, read_identity
from pregen.requests import Request, read_request
from pregen.responses import Response, read_response
from pregen.subjects import name_text
from storage.certid import HASH_NAMES, CertID
from storage.request import MalformedRequestError
from storage.request_path import readings

if TYPE_CHECKING:
    from storage.reader import Reader  # most decode without a store

MAX_INPUT_BYTES = 1 << 24  # far more than any response; a file that is larger is something else
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----\s*([A-Za-z0-9+/=\s]+?)-----END [A-Z0-9 ]+-----")
_LOGGED = re.compile(rb"\b(?:GET|HEAD) (\S+)")
_HEX = re.compile(rb"(?:0x)?((?:[0-9a-fA-F]{2}[:\s]*)+)")
_HTTP = re.compile(rb"(?:POST \S+ HTTP/1|HTTP/[12])[^\0]*?\r?\n\r?\n")
# How logs write what is no plain text: nginx \\x22, JSON \\u002b and \\/; and what stands between quotes in them.
_ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{2})|u00([0-9a-fA-F]{2})|([bfnrt"\\/]))')
_ESCAPED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = re.compile(rb"[^\s\"'<>(){}\[\],;|]{40,}")  # no request is shorter, nor a response that is no error
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was found, in which form: one request or response, or several where merged slashes leave a choice.

    Attributes:
        form: in which it was found.
        found: what it is; the first reading goes first.
        line: in which of several lines it stands, from 1 on; None: there is one alone, or the lines belong together.
    """

    form: str
    found: tuple[Request | Response, ...]
    line: int | None = None


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """An issuer that CertIDs are compared with: what it is called, and who it is."""

    name: str
    subject: str
    hashes: frozenset[tuple[str, bytes, bytes]]


def decode(data: bytes) -> tuple[Decoded, ...]:
    """Return the requests and responses that some octets or some text are, in their order.

    Raises:
        InputError: they are neither, in any form.
    """
    text = data.strip()
    forms = [("DER", [data]), ("HTTP", [_HTTP.sub(b"", data, count=1)]), *_forms_of_letters(text)]
    whole = _first(forms)
    if whole is not None:
        return (whole,)
    blocks = [("PEM", _in_base64(re.sub(rb"\s", b"", block))) for block in _PEM.findall(text)]
    found = [one for block in blocks if (one := _first([block])) is not None]
    if not blocks:
        lines = text.split(b"\n")
        numbers = [None] if len(lines) == 1 else range(1, len(lines) + 1)
        found = [
            replace(one, line=number)
            for number, line in zip(numbers, lines, strict=True)
            if (one := _first(_forms_of_line(line.strip()))) is not None
        ]
    if found:
        return tuple(found)
    shown = data[:40].decode("ascii", "backslashreplace")
    if any(_is_certificate(der) for _, candidates in [*forms, *blocks] for der in candidates):
        raise InputError(
            "this is a certificate, and neither an OCSP request nor a response; pregen lookup --cert finds its response"
        )
    raise InputError(
        f"{shown!r}{' ...' if len(data) > 40 else ''}: neither an OCSP request nor a response, as a GET path, a "
        "line of an access log, base64, hex, PEM or DER; it may be cut off: give all of it, in quotes"
    )


def _first(forms: Iterable[tuple[str, Sequence[bytes]]]) -> Decoded | None:
    """Return what the first form is that is a request or a response at all."""
    for form, candidates in forms:
        found = tuple(one for der in candidates if (one := _read(der)) is not None)
        if found:
            return Decoded(form, found)
    return None


def _read(der: bytes) -> Request | Response | None:
    for read in (read_request, read_response):
        try:
            return read(der)
        except ValueError:
            continue
    return None


def _is_certificate(der: bytes) -> bool:
    try:
        identity_of(der)
    except ValueError:
        return False
    return True


def _forms_of_letters(text: bytes) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Yield octets that a text may mean which is nothing but letters, with the name of the form."""
    if whole := _HEX.fullmatch(text):
        yield "hex", [bytes.fromhex(re.sub(rb"[:\s]", b"", whole[1]).decode())]
    letters = re.sub(rb"\s", b"", unquote_to_bytes(text)).translate(_URL_SAFE)
    yield "base64", _in_base64(letters)


def _forms_of_line(line: bytes) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Yield octets that a line may mean, with the name of the form, the surest first."""
    yield from _forms_of_letters(line)
    plain = _unescaped(line)
    logged = _LOGGED.search(plain)
    yield "path", _in_path((logged[1] if logged else plain).partition(b"?")[0])
    for word in _WORD.findall(plain):  # method, host and path may be fields of their own, with or without names
        yield "path", _in_path(word.partition(b"?")[0])
        for letters in (word, word.partition(b"=")[2]):
            yield from _forms_of_letters(letters)
    yield "escaped", [_unescaped(quoted) for quoted in _QUOTED.findall(line)]  # the body of a POST


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(
        lambda found: _ESCAPED.get(found[3], found[3]) if found[3] else bytes.fromhex((found[1] or found[2]).decode()),
        text,
    )


def _in_base64(letters: bytes) -> list[bytes]:
    letters = letters.rstrip(b"=")
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


def issuers_of_store(reader: "Reader") -> list[KnownIssuer]:
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
