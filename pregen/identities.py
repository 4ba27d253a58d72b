"""What CertIDs and lookups need of a certificate file: its subject, its key's bits and its serial number.

Read by `storage.der`, because a lookup must not wait for the libraries that signing needs. It is strict DER; what it
refuses is read again by the tolerant reader of `pregen.issuers`, which knows the oddities of real issuers, and refuses
the rest in its own words.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from storage.certid import HASH_OIDS, CertID
from storage.der import BIT_STRING, INTEGER, SEQUENCE, Cursor, tlv

_PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)-----END (?:X509 )?CERTIFICATE-----")
_VERSION = 0xA0


class Identity(NamedTuple):
    """Who a certificate is, and which key it has.

    Attributes:
        subject: its DER Name.
        key_bits: the public key's bits, without tag, length and unused-bits octet.
        serial: content octets of its DER INTEGER.
    """

    subject: bytes
    key_bits: bytes
    serial: bytes

    def cert_id(self, hash_name: str, serial: bytes) -> CertID:
        """Return how requests name a certificate that this one's key has issued.

        Args:
            hash_name: ``sha1`` or ``sha256``.
            serial: of that certificate, as content octets.
        """
        name_hash, key_hash = (
            hashlib.new(hash_name, hashed, usedforsecurity=False).digest() for hashed in (self.subject, self.key_bits)
        )
        return CertID(HASH_OIDS[hash_name], name_hash, key_hash, serial)


def read_identity(path: Path) -> Identity:
    """Return who the certificate of a file is, the first one of several.

    Raises:
        ConfigError: the file cannot be read, or holds no certificate; with the finding.
    """
    try:
        data = path.read_bytes()
        found = _PEM.search(data)
        return identity_of(base64.b64decode(found[1]) if found else data)
    except (OSError, ValueError):
        from pregen.issuers import read_certificates  # noqa: PLC0415 - see above
        from pregen.issuers.certificates import serial_of  # noqa: PLC0415

        certificate = read_certificates(path)[0]
        return Identity(certificate.subject, certificate.key_bits, serial_of(certificate))


def identity_of(der: bytes) -> Identity:
    """Return who a certificate is (RFC 5280, 4.1).

    Raises:
        ValueError: the octets are no certificate, or not strict DER.
    """
    outer = Cursor(der)
    certificate = outer.take(SEQUENCE)
    outer.finish()
    body = certificate.take(SEQUENCE)
    certificate.take(SEQUENCE)  # signatureAlgorithm
    certificate.take(BIT_STRING)
    certificate.finish()
    body.take_if(_VERSION)
    serial = body.take(INTEGER).octets
    for _ in ("signature", "issuer", "validity"):
        body.take(SEQUENCE)
    subject = tlv(SEQUENCE, body.take(SEQUENCE).octets)
    key_info = body.take(SEQUENCE)
    key_info.take(SEQUENCE)  # algorithm
    bits = key_info.take(BIT_STRING).octets
    key_info.finish()
    if bits[:1] != b"\0" or not serial:
        raise ValueError("a public key whose bits are not whole octets, or no serial number")
    return Identity(subject, bits[1:], serial)
