"""Does a response say what it should, signed by whom it should be? By parsers that are not ours.

cryptography parses it and verifies its signature. Where cryptography refuses an odd serial (a negative one), asn1crypto
parses it, and cryptography still verifies the signature over the octets that asn1crypto cut out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from asn1crypto import ocsp as asn1_ocsp
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import ReasonFlags, ocsp

from pregen.clock import seconds
from pregen.errors import VerificationError
from storage.certid import SHA1, SHA256

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
HASH_OIDS = {hashes.SHA1.name: SHA1, hashes.SHA256.name: SHA256}
ECDSA_SHA256, RSA_SHA256 = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11"
# RFC 5280, 5.3.1
REASONS = {
    ReasonFlags.unspecified: 0,
    ReasonFlags.key_compromise: 1,
    ReasonFlags.ca_compromise: 2,
    ReasonFlags.affiliation_changed: 3,
    ReasonFlags.superseded: 4,
    ReasonFlags.cessation_of_operation: 5,
    ReasonFlags.certificate_hold: 6,
    ReasonFlags.remove_from_crl: 8,
    ReasonFlags.privilege_withdrawn: 9,
    ReasonFlags.aa_compromise: 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a response with one SingleResponse says; times are seconds since 1970, None what is absent."""

    hash_oid: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial_number: int
    status: str
    revoked_at: int | None
    reason: int | None
    produced_at: int
    this_update: int
    next_update: int | None

    def differences(self, other: "Statement") -> Iterator[str]:
        """Yield what another statement says otherwise."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                yield f"{field.name} is {_shown(mine)} where {_shown(theirs)} belongs"


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """A response taken apart: its statement, and what its signature covers."""

    statement: Statement
    data: bytes
    signature: bytes
    algorithm_oid: str
    certificate_count: int


def parse_response(response: bytes) -> ParsedResponse:
    """Return a response taken apart.

    Raises:
        VerificationError: neither cryptography nor asn1crypto reads it, or it is an OCSP error.
    """
    try:
        return _by_cryptography(response)
    except (ValueError, UnsupportedAlgorithm) as refused:
        try:
            return _by_asn1crypto(response)
        except (ValueError, TypeError, KeyError):
            raise VerificationError(f"not an OCSP response: {refused}") from None


def load_public_key(spki: bytes) -> PublicKey:
    """Return the public key of a DER SubjectPublicKeyInfo.

    Raises:
        VerificationError: one that signs no responses.
        ValueError: damaged.
    """
    try:
        key = load_der_public_key(spki)
    except UnsupportedAlgorithm as e:
        raise VerificationError(f"a key of an unknown kind signs no responses: {e}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise VerificationError(f"keys of type {type(key).__name__} sign no responses")
    return key


def verify_signature(parsed: ParsedResponse, key: PublicKey) -> None:
    """Check that the signature of a response is one of that key.

    Raises:
        VerificationError: it is not.
    """
    wanted = ECDSA_SHA256 if isinstance(key, ec.EllipticCurvePublicKey) else RSA_SHA256
    if parsed.algorithm_oid != wanted:
        raise VerificationError(f"signed by algorithm {parsed.algorithm_oid} where {wanted} belongs")
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(parsed.signature, parsed.data, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(parsed.signature, parsed.data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise VerificationError("its signature is not one of the responder's key") from None


def verify_response(response: bytes, meant: Statement, key: PublicKey) -> None:
    """Check that a response says what is meant, signed by that key.

    Raises:
        VerificationError: it says something else, or is signed by someone else.
    """
    parsed = parse_response(response)
    wrong = list(parsed.statement.differences(meant))
    if wrong:
        raise VerificationError("; ".join(wrong))
    verify_signature(parsed, key)


def _by_cryptography(response: bytes) -> ParsedResponse:
    parsed = ocsp.load_der_ocsp_response(response)
    if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"its status is {parsed.response_status.name}")
    reason = parsed.revocation_reason
    revoked_at, next_update = parsed.revocation_time_utc, parsed.next_update_utc
    statement = Statement(
        hash_oid=HASH_OIDS.get(parsed.hash_algorithm.name, parsed.hash_algorithm.name),
        issuer_name_hash=parsed.issuer_name_hash,
        issuer_key_hash=parsed.issuer_key_hash,
        serial_number=parsed.serial_number,
        status=parsed.certificate_status.name.lower(),
        revoked_at=None if revoked_at is None else seconds(revoked_at),
        reason=None if reason is None else REASONS[reason],
        produced_at=seconds(parsed.produced_at_utc),
        this_update=seconds(parsed.this_update_utc),
        next_update=None if next_update is None else seconds(next_update),
    )
    return ParsedResponse(
        statement,
        parsed.tbs_response_bytes,
        parsed.signature,
        parsed.signature_algorithm_oid.dotted_string,
        len(parsed.certificates),
    )


def _by_asn1crypto(response: bytes) -> ParsedResponse:
    whole = asn1_ocsp.OCSPResponse.load(response, strict=True)
    basic = whole.basic_ocsp_response
    # It reads lazily and forgives much; encoding all of it anew finds what is not DER.
    if whole["response_status"].native != "successful" or whole.dump(force=True) != response:
        raise ValueError("not the DER of a successful response")
    if basic["signature"].contents[:1] != b"\0":
        raise ValueError("its signature is no whole number of octets")
    data = basic["tbs_response_data"]
    if len(data["responses"]) != 1:
        raise ValueError(f"{len(data['responses'])} SingleResponses")
    single = data["responses"][0]
    cert_id, status = single["cert_id"], single["cert_status"]
    revoked = status.chosen if status.name == "revoked" else None
    reason = None if revoked is None else revoked["revocation_reason"]
    next_update = single["next_update"].native
    statement = Statement(
        hash_oid=cert_id["hash_algorithm"]["algorithm"].dotted,
        issuer_name_hash=cert_id["issuer_name_hash"].native,
        issuer_key_hash=cert_id["issuer_key_hash"].native,
        serial_number=cert_id["serial_number"].native,
        status=status.name,
        revoked_at=None if revoked is None else seconds(revoked["revocation_time"].native),
        reason=None if reason is None or reason.native is None else int(reason),
        produced_at=seconds(data["produced_at"].native),
        this_update=seconds(single["this_update"].native),
        next_update=None if next_update is None else seconds(next_update),
    )
    return ParsedResponse(
        statement,
        data.dump(),
        basic["signature"].native,
        basic["signature_algorithm"]["algorithm"].dotted,
        len(basic["certs"]),
    )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
