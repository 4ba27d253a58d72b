"""What a response says and whose signature it bears, read by cryptography and by asn1crypto."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from asn1crypto import algos, core
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

MldsaPublicKey: TypeAlias = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | MldsaPublicKey

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
# What the OID of a signature's algorithm asks of the key, and of the verification
ECDSA = {"1.2.840.10045.4.3.2": SHA256(), "1.2.840.10045.4.3.3": SHA384(), "1.2.840.10045.4.3.4": SHA512()}
RSA = {
    "1.2.840.113549.1.1.11": padding.PKCS1v15(),
    "1.2.840.113549.1.1.10": padding.PSS(padding.MGF1(SHA256()), salt_length=32),
}
PURE = {
    "1.3.101.112": ed25519.Ed25519PublicKey,
    "2.16.840.1.101.3.4.3.17": mldsa.MLDSA44PublicKey,
    "2.16.840.1.101.3.4.3.18": mldsa.MLDSA65PublicKey,
    "2.16.840.1.101.3.4.3.19": mldsa.MLDSA87PublicKey,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one SingleResponse of a response says. The responder is the SHA-1 of its key, or its DER name."""

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
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(self.signature, self.message, ec.ECDSA(ECDSA[self.algorithm]))
            case rsa.RSAPublicKey():
                key.verify(self.signature, self.message, RSA[self.algorithm], SHA256())
            case _:
                assert isinstance(key, PURE[self.algorithm])
                key.verify(self.signature, self.message)


# RFC 6960, 4.2.1, with certificates as they are: asn1crypto's own classes fail at one that holds an ML-DSA key.
# Each list of fields is completed by asn1crypto, and it has no types.
class _Certificates(core.SequenceOf):  # type: ignore[misc]
    _child_spec = core.Any


class _BasicResponse(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("data", asn1.ResponseData),
        ("algorithm", algos.SignedDigestAlgorithm),
        ("signature", core.OctetBitString),
        ("certificates", _Certificates, {"explicit": 0, "optional": True}),
    ]


class _ResponseBytes(core.Sequence):  # type: ignore[misc]
    _fields = [("type", asn1.ResponseType), ("response", core.ParsableOctetString)]  # noqa: RUF012


class _Response(core.Sequence):  # type: ignore[misc]
    _fields = [("status", asn1.OCSPResponseStatus), ("bytes", _ResponseBytes, {"explicit": 0})]  # noqa: RUF012


class Read(NamedTuple):
    """A response as a parser read it."""

    statements: tuple[Statement, ...]
    signed: Signed


def read_by_cryptography(der: bytes) -> Read:
    """Return what cryptography reads.

    Raises:
        ValueError: it refuses the response, or its serial.
    """
    response = ocsp.load_der_ocsp_response(der)
    assert response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert not len(response.extensions)
    name = response.responder_name
    responder = response.responder_key_hash if name is None else name.public_bytes()
    assert responder is not None
    statements = tuple(_said_to_cryptography(one, response.produced_at_utc, responder) for one in response.responses)
    certificates = tuple(certificate.public_bytes(Encoding.DER) for certificate in response.certificates)
    algorithm = response.signature_algorithm_oid.dotted_string
    return Read(statements, Signed(response.tbs_response_bytes, response.signature, algorithm, certificates))


def _said_to_cryptography(single: ocsp.OCSPSingleResponse, produced_at: datetime, responder: bytes) -> Statement:
    next_update, reason = single.next_update_utc, single.revocation_reason
    assert next_update is not None
    return Statement(
        hash_name=single.hash_algorithm.name,
        issuer_name_hash=single.issuer_name_hash,
        issuer_key_hash=single.issuer_key_hash,
        serial=single.serial_number,
        status=single.certificate_status.name.lower(),
        revoked_at=single.revocation_time_utc,
        reason=None if reason is None else REASONS[reason.name],
        produced_at=produced_at,
        this_update=single.this_update_utc,
        next_update=next_update,
        responder=responder,
    )


def read_by_asn1crypto(der: bytes) -> Read:
    """Return what asn1crypto reads, after it has written the same octets again: then they are DER.

    Raises:
        ValueError: it refuses the response.
    """
    response = _Response.load(der, strict=True)
    assert response["status"].native == "successful"
    assert response["bytes"]["type"].native == "basic_ocsp_response"
    basic = response["bytes"]["response"].parse(_BasicResponse)
    data = basic["data"]
    assert data["version"].native == "v1"
    assert not len(data["response_extensions"])
    produced_at, identity = data["produced_at"].native, data["responder_id"]
    responder = identity.chosen.native if identity.name == "by_key" else identity.chosen.untag().dump()
    statements = tuple(_said_to_asn1crypto(single, produced_at, responder) for single in data["responses"])
    certificates = tuple(certificate.dump() for certificate in basic["certificates"])
    algorithm = basic["algorithm"]["algorithm"].dotted
    signed = Signed(data.dump(), basic["signature"].native, algorithm, certificates)
    assert response.dump(force=True) == der
    return Read(statements, signed)


def _said_to_asn1crypto(single: asn1.SingleResponse, produced_at: datetime, responder: bytes) -> Statement:
    cert_id, status = single["cert_id"], single["cert_status"]
    assert not len(single["single_extensions"])
    assert cert_id["hash_algorithm"]["parameters"].dump() == b"\x05\x00"
    revoked = status.chosen if status.name == "revoked" else None
    reason = None if revoked is None else revoked["revocation_reason"].native
    return Statement(
        hash_name=cert_id["hash_algorithm"]["algorithm"].native,
        issuer_name_hash=cert_id["issuer_name_hash"].native,
        issuer_key_hash=cert_id["issuer_key_hash"].native,
        serial=cert_id["serial_number"].native,
        status=status.name,
        revoked_at=None if revoked is None else revoked["revocation_time"].native,
        reason=None if reason is None else REASONS[reason],
        produced_at=produced_at,
        this_update=single["this_update"].native,
        next_update=single["next_update"].native,
        responder=responder,
    )


def public_key(certificate: bytes) -> PublicKey:
    """Return the key of a certificate, which signs responses."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, PublicKey)
    return key
