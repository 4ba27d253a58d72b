"""What a response says and whose signature it bears, read by cryptography and by asn1crypto."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

# RFC 5280, 5.3.1
REASONS = {
    "unspecified": 0,
    "key_compromise": 1,
    "ca_compromise": 2,
    "affiliation_changed": 3,
    "superseded": 4,
    "cessation_of_operation": 5,
    "certificate_hold": 6,
    "privilege_withdrawn": 9,
    "aa_compromise": 10,
}
ECDSA_SHA256, RSA_SHA256 = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one response says. The responder is the SHA-1 of its key, or its DER name."""

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    status: str
    revoked_at: datetime | None
    reason: int | None
    produced_at: datetime
    this_update: datetime
    next_update: datetime
    responder: bytes


class Signed(NamedTuple):
    """What a signature covers, and what it is verified with."""

    message: bytes
    signature: bytes
    algorithm: str
    certificates: tuple[bytes, ...]

    def verify(self, key: PublicKey) -> None:
        """Check the signature.

        Raises:
            InvalidSignature: it is not one of this key.
        """
        if isinstance(key, rsa.RSAPublicKey):
            assert self.algorithm == RSA_SHA256
            key.verify(self.signature, self.message, padding.PKCS1v15(), SHA256())
        else:
            assert self.algorithm == ECDSA_SHA256
            key.verify(self.signature, self.message, ec.ECDSA(SHA256()))


def read_by_cryptography(der: bytes) -> tuple[Statement, Signed]:
    """Return what cryptography reads.

    Raises:
        ValueError: it refuses the response, or its serial.
    """
    response = ocsp.load_der_ocsp_response(der)
    assert response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert not len(response.extensions)
    assert not len(response.single_extensions)
    next_update, name = response.next_update_utc, response.responder_name
    responder = response.responder_key_hash if name is None else name.public_bytes()
    assert next_update is not None
    assert responder is not None
    reason = response.revocation_reason
    statement = Statement(
        hash_name=response.hash_algorithm.name,
        issuer_name_hash=response.issuer_name_hash,
        issuer_key_hash=response.issuer_key_hash,
        serial=response.serial_number,
        status=response.certificate_status.name.lower(),
        revoked_at=response.revocation_time_utc,
        reason=None if reason is None else REASONS[reason.name],
        produced_at=response.produced_at_utc,
        this_update=response.this_update_utc,
        next_update=next_update,
        responder=responder,
    )
    certificates = tuple(certificate.public_bytes(Encoding.DER) for certificate in response.certificates)
    algorithm = response.signature_algorithm_oid.dotted_string
    return statement, Signed(response.tbs_response_bytes, response.signature, algorithm, certificates)


def read_by_asn1crypto(der: bytes) -> tuple[Statement, Signed]:
    """Return what asn1crypto reads, after it has written the same octets again: then they are DER.

    Raises:
        ValueError: it refuses the response.
    """
    response = asn1.OCSPResponse.load(der, strict=True)
    assert response["response_status"].native == "successful"
    basic = response.basic_ocsp_response
    data = basic["tbs_response_data"]
    (single,) = data["responses"]
    cert_id, status = single["cert_id"], single["cert_status"]
    assert data["version"].native == "v1"
    assert not len(data["response_extensions"])
    assert not len(single["single_extensions"])
    assert cert_id["hash_algorithm"]["parameters"].dump() == b"\x05\x00"
    revoked = status.chosen if status.name == "revoked" else None
    reason = None if revoked is None else revoked["revocation_reason"].native
    responder = data["responder_id"]
    statement = Statement(
        hash_name=cert_id["hash_algorithm"]["algorithm"].native,
        issuer_name_hash=cert_id["issuer_name_hash"].native,
        issuer_key_hash=cert_id["issuer_key_hash"].native,
        serial=cert_id["serial_number"].native,
        status=status.name,
        revoked_at=None if revoked is None else revoked["revocation_time"].native,
        reason=None if reason is None else REASONS[reason],
        produced_at=data["produced_at"].native,
        this_update=single["this_update"].native,
        next_update=single["next_update"].native,
        responder=responder.chosen.native if responder.name == "by_key" else responder.chosen.untag().dump(),
    )
    certificates = tuple(certificate.dump() for certificate in basic["certs"])
    algorithm = basic["signature_algorithm"]["algorithm"].dotted
    signed = Signed(data.dump(), basic["signature"].native, algorithm, certificates)
    assert response.dump(force=True) == der
    return statement, signed


def public_key(certificate: bytes) -> PublicKey:
    """Return the key of a certificate, which signs responses."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return key
