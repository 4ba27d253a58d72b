"""Tables and a record become the DER of an OCSP response (RFC 6960, 4.2.1; FORMAT.md, section 6)."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from storage import der
from storage.errors import KnownAnswerError, MalformedError
from storage.key import key64
from storage.tables import RECORD_FIELDS, TIME_DIGITS, TIME_FIELDS, Run, Tables, Template

_BASIC_RESPONSE_TYPE = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
SUCCESSFUL = bytes.fromhex("0a0100")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - only counted from; an offset would be written out
# What stands around a BasicOCSPResponse's content, from the inside outwards: earlier members, then the tag around all.
_WRAPPERS = (
    (b"", der.SEQUENCE),  # BasicOCSPResponse
    (b"", der.OCTET_STRING),
    (_BASIC_RESPONSE_TYPE, der.SEQUENCE),  # ResponseBytes
    (b"", 0xA0),
    (SUCCESSFUL, der.SEQUENCE),  # OCSPResponse
)


def generalized_time(seconds: int) -> bytes:
    """Return the 14 digits of an instant, as GeneralizedTime writes them before the Z.

    >>> generalized_time(0)
    b'19700101000000'
    """
    # Counted here and not by the C library, whose gmtime subtracts leap seconds under a TZ such as right/UTC.
    return (_EPOCH + timedelta(0, seconds)).isoformat().encode().translate(None, b"-T:")


def minimal_integer(octets: bytes) -> bytes:
    r"""Return the content octets of the DER INTEGER for an unsigned big-endian number.

    >>> minimal_integer(b"\x00\x00\x80").hex(), minimal_integer(b"\x00\x00\x7f").hex(), minimal_integer(b"\x00").hex()
    ('0080', '7f', '00')
    """
    octets = octets.lstrip(b"\0")
    return octets if octets and octets[0] < 0x80 else b"\0" + octets


def signature_value(encoding: str, stored: bytes) -> bytes:
    """Return a stored signature as an algorithm wants it: ECDSA as a SEQUENCE of r and s (RFC 3279, 2.2.3)."""
    if encoding != "ecdsa":
        return stored
    half = len(stored) // 2
    numbers = [der.tlv(der.INTEGER, minimal_integer(number)) for number in (stored[:half], stored[half:])]
    return der.tlv(der.SEQUENCE, *numbers)


class OpenHole(NamedTuple):
    """Octets [first, last) of a record belong at [at, end) of the ResponseData; a time is written as 14 digits."""

    first: int
    last: int
    at: int
    end: int
    is_time: bool


class Frame(NamedTuple):
    """What stands around the variable parts of a response, for given lengths of its signature's parts.

    A response is ``opening | ResponseData | middle | first part | between | second part | certs``. The parts are the
    numbers r and s of ECDSA; any other signature is a first part alone.
    """

    opening: bytes
    middle: bytes
    between: bytes


class Assembler:
    """Makes one of the responses of all records of one run: everything but the record's own is computed once.

    Attributes:
        base: the ResponseData with the constants in place.
        holes: what is left open, and which octets of a record fill it.
        signature: where the record holds this response's signature.

    Raises:
        MalformedError: the template does not fit the run's issuer, shape or window.
    """

    __slots__ = ("_algorithm", "_certs", "_first", "_frames", "_is_ecdsa", "_second", "base", "holes", "signature")

    def __init__(self, name: str, tables: Tables, run: Run, which: int) -> None:
        shape = tables.shapes[run.shape]
        response = shape.responses[which]
        self.base, self.holes = _fill_constants(name, tables, run, tables.templates[response.template])
        start = shape.signatures_at + sum(earlier.signature_bytes for earlier in shape.responses[:which])
        end = start + response.signature_bytes
        self.signature = slice(start, end)
        self._is_ecdsa = response.encoding == "ecdsa"
        middle = (start + end) // 2 if self._is_ecdsa else end
        self._first, self._second = slice(start, middle), slice(middle, end)
        self._algorithm = response.algorithm
        certificate = tables.issuers[run.issuer].responder_certificate
        self._certs = b"" if certificate is None else der.tlv(0xA0, der.tlv(der.SEQUENCE, certificate))
        self._frames: dict[tuple[int, int], Frame] = {}

    def response_data(self, record: bytes) -> bytes:
        """Return the octets that the record's signature covers: the DER of a ResponseData."""
        return bytes(self._filled(record))

    def response(self, record: bytes) -> bytes:
        """Return the DER of the whole OCSPResponse."""
        first, second = record[self._first], record[self._second]
        if self._is_ecdsa:
            first, second = minimal_integer(first), minimal_integer(second)
        sizes = len(first), len(second)
        try:
            opening, middle, between = self._frames[sizes]
        except KeyError:  # few: nearly all r and s have one of three lengths
            opening, middle, between = self._frames[sizes] = self._frame(*sizes)
        return b"".join((opening, self._filled(record), middle, first, between, second, self._certs))

    def _filled(self, record: bytes) -> bytearray:
        data = bytearray(self.base)
        for first, last, at, end, is_time in self.holes:
            octets = record[first:last]
            data[at:end] = generalized_time(int.from_bytes(octets, "little")) if is_time else octets
        return data

    def _frame(self, first: int, second: int) -> Frame:
        """Return the frame for parts of these sizes; built from the inside outwards."""
        numbers = between = b""
        if self._is_ecdsa:
            numbers, between = der.head(der.INTEGER, first), der.head(der.INTEGER, second)
            numbers = der.head(der.SEQUENCE, len(numbers) + first + len(between) + second) + numbers
        signature = len(numbers) + first + len(between) + second
        middle = self._algorithm + der.head(der.BIT_STRING, 1 + signature) + b"\0" + numbers
        inside = len(self.base) + len(middle) - len(numbers) + signature + len(self._certs)
        opening = b""
        for before, tag in _WRAPPERS:
            opening = before + opening
            opening = der.head(tag, len(opening) + inside) + opening
        return Frame(opening, middle, between)


def _fill_constants(name: str, tables: Tables, run: Run, template: Template) -> tuple[bytes, tuple[OpenHole, ...]]:
    """Return a template with all filled in that is the same for a whole run, and what is left open."""
    issuer, shape, window = tables.issuers[run.issuer], tables.shapes[run.shape], tables.windows[run.window]
    constants = {field: generalized_time(getattr(window, field)) for field in TIME_FIELDS}
    constants["responder_id"] = issuer.responder_id
    hashes = {"issuer_name_hash": issuer.name_hashes, "issuer_key_hash": issuer.key_hashes}
    where, at = {"serial": (0, shape.serial_bytes)}, shape.serial_bytes
    for field in shape.fields:
        where[field] = (at, at + RECORD_FIELDS[field])
        at += RECORD_FIELDS[field]

    data = bytearray(template.tbs)
    open_holes = []
    for hole in template.holes:
        field, end = hole.field, hole.at + hole.size
        if field in where:
            first, last = where[field]
            is_time = field == "revoked_at"
            size = TIME_DIGITS if is_time else last - first
            open_holes.append(OpenHole(first, last, hole.at, end, is_time))
        else:
            octets = hashes[field].get(hole.hash_oid or "", b"") if field in hashes else constants.get(field, b"")
            size = len(octets)
            data[hole.at : end] = octets
        if size != hole.size:
            raise MalformedError(name, f"{size} octets do not fit the hole {field!r} of {hole.size}")
    if missing := where.keys() - {hole.field for hole in template.holes}:
        raise MalformedError(name, f"a template has no hole for {', '.join(sorted(missing))}")
    return bytes(data), tuple(open_holes)


def check_known_answers(name: str, tables: Tables) -> None:
    """Prove that these tables, in this reader, make the responses that their publisher meant.

    Raises:
        KnownAnswerError: a response, or the key that a certificate is found by, comes out otherwise.
    """
    for index, shape in enumerate(tables.shapes):
        answer = shape.known_answer
        serial, issuer = answer.record[: shape.serial_bytes], tables.issuers[answer.issuer]
        if answer.key is not None and key64(serial, issuer.issuer_id) != answer.key:
            raise KnownAnswerError(name, f"shape {index} does not reproduce the key of its known answer")
        stage = replace(tables, windows=(answer.window,))
        for which, wanted in enumerate(answer.sha256):
            made = Assembler(name, stage, Run(answer.issuer, index, 0), which).response(answer.record)
            if hashlib.sha256(made).digest() != wanted:
                raise KnownAnswerError(name, f"shape {index} does not reproduce its known answer {which}")
