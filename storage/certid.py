"""What a client asks for: a CertID (RFC 6960, 4.1.1)."""

from typing import NamedTuple

from storage.der import INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, Cursor, oid_text

SHA1 = "1.3.14.3.2.26"
SHA256 = "2.16.840.1.101.3.4.2.1"
HASH_NAMES = {SHA1: "sha1", SHA256: "sha256"}
HASH_OIDS = {name: oid for oid, name in HASH_NAMES.items()}
_HASH_OIDS_BY_OCTETS = {bytes.fromhex("2b0e03021a"): SHA1, bytes.fromhex("608648016503040201"): SHA256}
MAX_SERIAL_BYTES = 21  # RFC 5280, 4.1.2.2 allows 20; a few real ones have one more
_MAX_FIELD_OCTETS = 64  # SHA-512 has as many, and serials up to 21; more would only fill the logs


class CertID(NamedTuple):
    """One certificate, named by hashes of its issuer's name and key and by its serial number.

    Attributes:
        hash_oid: dotted OID of the hash, matched without its parameters.
        issuer_name_hash: hash of the issuer's DER name.
        issuer_key_hash: hash of the issuer's key bits (no tag, length or unused-bits octet).
        serial: content octets of the DER INTEGER, two's complement.
    """

    hash_oid: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: bytes

    @property
    def serial_number(self) -> int:
        """The serial as a number, as people read and write it."""
        return int.from_bytes(self.serial, "big", signed=True)


def serial_text(octets: bytes) -> str:
    """Return a serial, as content octets, as people write it: lower-case hex of the number, with a sign.

    >>> serial_text(bytes.fromhex("00ff")), serial_text(bytes.fromhex("ff"))
    ('ff', '-1')
    """
    return f"{int.from_bytes(octets, 'big', signed=True):x}"


def read_cert_id(fields: Cursor) -> CertID:
    """Step over a CertID and return it; one with an unknown hash is read like any other.

    The parameters of the hash are NULL (what OpenSSL and Go write) or absent (what RFC 5754 asks for).

    Raises:
        ValueError: not DER, or not a CertID; a serial that is empty or not minimal, as no certificate has one.
    """
    cert_id = fields.take(SEQUENCE)
    algorithm = cert_id.take(SEQUENCE)
    oid = algorithm.take(OID).octets
    parameters = algorithm.take_if(NULL)
    if parameters is not None:
        parameters.finish()
    algorithm.finish()
    name_hash, key_hash = cert_id.take(OCTET_STRING).octets, cert_id.take(OCTET_STRING).octets
    serial = cert_id.take(INTEGER).octets
    cert_id.finish()
    if max(len(name_hash), len(key_hash), len(serial)) > _MAX_FIELD_OCTETS:
        raise ValueError(f"a hash or serial of more than {_MAX_FIELD_OCTETS} octets")
    if not serial:
        raise ValueError("an empty serial number")
    if len(serial) > 1 and serial[0] == (0xFF if serial[1] & 0x80 else 0x00):
        raise ValueError("a serial number that is not minimal")
    return CertID(_HASH_OIDS_BY_OCTETS.get(oid) or oid_text(oid), name_hash, key_hash, serial)
