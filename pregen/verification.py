"""Does a response say what it should, signed by whom it should be? By parsers that are not ours.

cryptography parses it and verifies its signature. What cryptography refuses (odd parameters of an algorithm, say),
asn1crypto parses, so that the reason can be told; and cryptography still verifies the signature over the octets that
asn1crypto cut out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import ocsp

from pregen.clock import seconds
from pregen.errors import VerificationError
from pregen.reasons import CRL_REASONS
from pregen.signers import ALGORITHMS, Algorithm, PublicKey, kind_of
from storage import der
from storage.certid import HASH_OIDS

Fields: TypeAlias = tuple[tuple[str, type, dict[str, object]], ...]  # of asn1crypto
_DIGESTS: dict[str | None, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one SingleResponse of a response says; times are seconds since 1970, None what is absent."""

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
    """A response taken apart.

    Attributes:
        statements: its SingleResponses, in their order.
        data: the octets that its signature covers.
        signature: the octets of its signature.
        algorithm: DER of the AlgorithmIdentifier.
        certificate_count: how many certificates it carries.
    """

    statements: tuple[Statement, ...]
    data: bytes
    signature: bytes
    algorithm: bytes
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
    if not isinstance(key, PublicKey):
        raise VerificationError(f"keys of type {type(key).__name__} sign no responses")
    return key


def verify_response(
    response: bytes, meant: Sequence[Statement], key: PublicKey, algorithm: Algorithm
) -> tuple[Statement, ...]:
    """Check that a response says what is meant, in this order and nothing more, signed by that key.

    Returns:
        What was read from it.

    Raises:
        VerificationError: it says something else, or is signed by someone else or otherwise.
    """
    parsed = parse_response(response)
    if len(parsed.statements) != len(meant):
        raise VerificationError(f"it has {len(parsed.statements)} SingleResponses where {len(meant)} belong")
    if wrong := [text for said, one in zip(parsed.statements, meant, strict=True) for text in said.differences(one)]:
        raise VerificationError("; ".join(wrong))
    try:
        _refuse_more(parsed.data)
    except ValueError as e:
        raise VerificationError(f"it holds more than was meant, such as extensions or another version: {e}") from None
    verify_signature(parsed, key, algorithm)
    return parsed.statements


def verify_signature(parsed: ParsedResponse, key: PublicKey, algorithm: Algorithm) -> None:
    """Check that the signature of a response is one of that key, by that algorithm, which it names octet by octet.

    Raises:
        VerificationError: it is not, or the key is of another kind.
    """
    if parsed.algorithm != algorithm.identifier:
        raise VerificationError(f"signed by algorithm {_found(parsed)} where {algorithm.name} belongs")
    if (kind := kind_of(key)) != algorithm.key:
        raise VerificationError(f"signed by {algorithm.name}, and the responder's key is of the kind {kind}")
    try:
        _verify(key, parsed.signature, parsed.data, algorithm)
    except InvalidSignature:
        raise VerificationError("its signature is not one of the responder's key") from None


def _refuse_more(data: bytes) -> None:
    """Raise ValueError if a ResponseData has a version or extensions (RFC 6960, 4.2.1): statements do not show them."""
    fields = der.Cursor(data).take(der.SEQUENCE)
    if fields.take_if(0xA0) is not None:
        raise ValueError("a version")
    fields.skip()  # responderID
    fields.take(der.GENERALIZED_TIME)
    singles = fields.take(der.SEQUENCE)
    fields.finish()
    while not singles.at_end():
        single = singles.take(der.SEQUENCE)
        single.skip()  # certID
        single.skip()  # certStatus
        single.take(der.GENERALIZED_TIME)
        single.take_if(0xA0)  # nextUpdate
        single.finish()


def _found(parsed: ParsedResponse) -> str:
    """Return the name of the algorithm that a response says; the identifier is the same for RSA keys of all sizes."""
    for one in ALGORITHMS.values():
        is_fitting = one.encoding == "ecdsa" or one.signature_bytes == len(parsed.signature)
        if one.identifier == parsed.algorithm and is_fitting:
            return one.name
    return f"with the identifier {parsed.algorithm.hex()}"


def _verify(key: PublicKey, signature: bytes, data: bytes, algorithm: Algorithm) -> None:
    """Raise InvalidSignature if a signature is not one of this key, which must be of the algorithm's kind."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(_DIGESTS[algorithm.digest]))
    elif isinstance(key, rsa.RSAPublicKey):
        digest = _DIGESTS[algorithm.digest]
        salted = padding.PSS(padding.MGF1(digest), digest.digest_size)
        key.verify(signature, data, salted if algorithm.padding == "pss" else padding.PKCS1v15(), digest)
    else:
        key.verify(signature, data)


def _by_cryptography(response: bytes) -> ParsedResponse:
    parsed = ocsp.load_der_ocsp_response(response)
    if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"its status is {parsed.response_status.name}")
    produced_at, data = seconds(parsed.produced_at_utc), parsed.tbs_response_bytes
    # It tells the OID of the algorithm alone; the identifier is what follows the octets that are signed.
    algorithm_at = response.index(data) + len(data)
    _, _, algorithm_end = der.read(response, algorithm_at, len(response))
    _, signature_at, _ = der.read(response, algorithm_end, len(response))
    if response[signature_at] != 0:  # unused bits, which it does not look at
        raise ValueError("its signature is no whole number of octets")
    return ParsedResponse(
        tuple(_statement(single, produced_at) for single in parsed.responses),
        data,
        parsed.signature,
        response[algorithm_at:algorithm_end],
        len(parsed.certificates),
    )


def _statement(single: ocsp.OCSPSingleResponse, produced_at: int) -> Statement:
    reason, revoked_at, next_update = single.revocation_reason, single.revocation_time_utc, single.next_update_utc
    hash_name = single.hash_algorithm.name
    return Statement(
        hash_oid=HASH_OIDS.get(hash_name, hash_name),
        issuer_name_hash=single.issuer_name_hash,
        issuer_key_hash=single.issuer_key_hash,
        serial_number=single.serial_number,
        status=single.certificate_status.name.lower(),
        revoked_at=None if revoked_at is None else seconds(revoked_at),
        reason=None if reason is None else CRL_REASONS[reason.value],
        produced_at=produced_at,
        this_update=seconds(single.this_update_utc),
        next_update=None if next_update is None else seconds(next_update),
    )


class _Certificates(core.SequenceOf):  # type: ignore[misc] # asn1crypto has no types
    """Certificates as they are: asn1crypto's own type fails on keys that it does not know (ML-DSA)."""

    _child_spec = core.Any


class _BasicResponse(core.Sequence):  # type: ignore[misc] # asn1crypto has no types
    """BasicOCSPResponse (RFC 6960, 4.2.1), with the algorithm and the certificates as they are."""

    _fields: Fields = (
        ("tbs_response_data", asn1_ocsp.ResponseData, {}),
        ("signature_algorithm", core.Any, {}),
        ("signature", core.OctetBitString, {}),
        ("certs", _Certificates, {"explicit": 0, "optional": True}),
    )


class _ResponseBytes(core.Sequence):  # type: ignore[misc] # asn1crypto has no types
    """ResponseBytes, whose content is not parsed yet."""

    _fields: Fields = (("response_type", asn1_ocsp.ResponseType, {}), ("response", core.OctetString, {}))


class _OcspResponse(core.Sequence):  # type: ignore[misc] # asn1crypto has no types
    """OCSPResponse, whose content is not parsed yet."""

    _fields: Fields = (
        ("response_status", asn1_ocsp.OCSPResponseStatus, {}),
        ("response_bytes", _ResponseBytes, {"explicit": 0, "optional": True}),
    )


def _by_asn1crypto(response: bytes) -> ParsedResponse:
    whole = _OcspResponse.load(response, strict=True)
    # It reads lazily and forgives much; encoding all of it anew finds what is not DER.
    if whole["response_status"].native != "successful" or whole.dump(force=True) != response:
        raise ValueError("not the DER of a successful response")
    inside = whole["response_bytes"]
    octets = inside["response"].native
    basic = _BasicResponse.load(octets, strict=True)
    if inside["response_type"].native != "basic_ocsp_response" or basic.dump(force=True) != octets:
        raise ValueError("not the DER of a basic response")
    if basic["signature"].contents[:1] != b"\0":
        raise ValueError("its signature is no whole number of octets")
    data = basic["tbs_response_data"]
    produced_at = seconds(data["produced_at"].native)
    return ParsedResponse(
        tuple(_asn1_statement(single, produced_at) for single in data["responses"]),
        data.dump(),
        basic["signature"].native,
        basic["signature_algorithm"].dump(),
        len(basic["certs"]),
    )


def _asn1_statement(single: asn1_ocsp.SingleResponse, produced_at: int) -> Statement:
    cert_id, status = single["cert_id"], single["cert_status"]
    revoked = status.chosen if status.name == "revoked" else None
    reason = None if revoked is None else revoked["revocation_reason"]
    next_update = single["next_update"].native
    return Statement(
        hash_oid=cert_id["hash_algorithm"]["algorithm"].dotted,
        issuer_name_hash=cert_id["issuer_name_hash"].native,
        issuer_key_hash=cert_id["issuer_key_hash"].native,
        serial_number=cert_id["serial_number"].native,
        status=status.name,
        revoked_at=None if revoked is None else seconds(revoked["revocation_time"].native),
        reason=None if reason is None or reason.native is None else int(reason),
        produced_at=produced_at,
        this_update=seconds(single["this_update"].native),
        next_update=None if next_update is None else seconds(next_update),
    )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
