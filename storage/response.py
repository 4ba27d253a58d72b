"""Tables and a record become the DER of an OCSP response (RFC 6960, 4.2.1; FORMAT.md, section 5)."""

import hashlib
import time
from typing import NamedTuple

from storage import der
from storage.errors import KnownAnswerError, MalformedError
from storage.tables import RECORD_FIELDS, TIME_FIELDS, Run, Tables

BASIC_RESPONSE = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
SUCCESSFUL = bytes.fromhex("0a0100")


def generalized_time(seconds: int) -> bytes:
    """Return the 14 digits of an instant, as GeneralizedTime writes them before the Z.

    >>> generalized_time(0)
    b'19700101000000'
    """
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds)).encode()


def minimal_integer(octets: bytes) -> bytes:
    r"""Return the DER INTEGER of an unsigned big-endian number.

    >>> minimal_integer(b"\x00\x00\x80").hex()
    '02020080'
    """
    octets = octets.lstrip(b"\0")
    return der.tlv(der.INTEGER, b"\0" if not octets or octets[0] >= 0x80 else b"", octets)


def signature_value(encoding: str, stored: bytes) -> bytes:
    """Return a stored signature as an algorithm wants it: ECDSA as a SEQUENCE of r and s (RFC 3279, 2.2.3)."""
    if encoding != "ecdsa":
        return stored
    half = len(stored) // 2
    return der.tlv(der.SEQUENCE, minimal_integer(stored[:half]), minimal_integer(stored[half:]))


class OpenHole(NamedTuple):
    """Octets [first, last) of a record belong at [at, end) of the ResponseData; a time is written as 14 digits."""

    first: int
    last: int
    at: int
    end: int
    is_time: bool


class Assembler:
    """Makes one of the responses of all records of one run: the template with all that is constant filled in.

    Cheap to keep, so a reader keeps one per run and response.

    Attributes:
        base: the ResponseData with the constants in place.
        holes: what is left open, and which octets of a record fill it.
        signature: where the record holds this response's signature.
    """

    __slots__ = ("_algorithm", "_certs", "_encoding", "base", "holes", "signature")

    def __init__(self, name: str, tables: Tables, run: Run, which: int) -> None:
        issuer, shape, window = tables.issuers[run.issuer], tables.shapes[run.shape], tables.windows[run.window]
        response = shape.responses[which]
        template = tables.templates[response.template]
        constants = {field: generalized_time(getattr(window, field)) for field in TIME_FIELDS}
        constants["responder_id"] = issuer.responder_id
        where, at = {"serial": (0, shape.serial_bytes)}, shape.serial_bytes
        for field in shape.fields:
            where[field] = (at, at + RECORD_FIELDS[field])
            at += RECORD_FIELDS[field]

        tbs = bytearray(template.tbs)
        holes: list[OpenHole] = []
        for hole in template.holes:
            if hole.field in where:
                holes.append(OpenHole(*where[hole.field], hole.at, hole.at + hole.size, hole.field == "revoked_at"))
                continue
            if hole.hash_oid is not None:
                hashes = issuer.name_hashes if hole.field == "issuer_name_hash" else issuer.key_hashes
                octets = hashes.get(hole.hash_oid, b"")
            else:
                octets = constants.get(hole.field, b"")
            if len(octets) != hole.size:
                raise MalformedError(name, f"nothing of {hole.size} octets is there for the hole {hole.field!r}")
            tbs[hole.at : hole.at + hole.size] = octets
        start = at + sum(earlier.signature_bytes for earlier in shape.responses[:which])
        certificate = issuer.responder_certificate
        self.base = bytes(tbs)
        self.holes = tuple(holes)
        self.signature = slice(start, start + response.signature_bytes)
        self._algorithm = response.algorithm
        self._encoding = response.encoding
        self._certs = b"" if certificate is None else der.tlv(0xA0, der.tlv(der.SEQUENCE, certificate))

    def response_data(self, record: bytes) -> bytes:
        """Return the octets that the record's signature covers: the DER of a ResponseData."""
        tbs = bytearray(self.base)
        for first, last, at, end, is_time in self.holes:
            octets = record[first:last]
            tbs[at:end] = generalized_time(int.from_bytes(octets, "little")) if is_time else octets
        return bytes(tbs)

    def response(self, record: bytes) -> bytes:
        """Return the DER of the whole OCSPResponse."""
        signature = signature_value(self._encoding, record[self.signature])
        basic = der.tlv(
            der.SEQUENCE,
            self.response_data(record),
            self._algorithm,
            der.tlv(der.BIT_STRING, b"\0", signature),
            self._certs,
        )
        content = der.tlv(der.SEQUENCE, BASIC_RESPONSE, der.tlv(der.OCTET_STRING, basic))
        return der.tlv(der.SEQUENCE, SUCCESSFUL, der.tlv(0xA0, content))


def check_known_answers(name: str, tables: Tables) -> None:
    """Prove that these tables, in this reader, make the responses that their publisher meant.

    Raises:
        KnownAnswerError: a response comes out otherwise.
    """
    for index, shape in enumerate(tables.shapes):
        answer = shape.known_answer
        run = Run(answer.issuer, index, answer.window)
        for which, wanted in enumerate(answer.sha256):
            made = Assembler(name, tables, run, which).response(answer.record)
            if hashlib.sha256(made).digest() != wanted:
                raise KnownAnswerError(name, f"shape {index} does not reproduce its known answer {which}")
