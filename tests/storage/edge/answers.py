"""Requests and answers to test the edge with: a few octets of DER each, and a source that holds them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha1, sha256

from asn1crypto import ocsp

from storage.certid import HASH_NAMES, SHA1, SHA256, CertID
from storage.der import INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, tlv
from storage.edge.guard import singles_in
from storage.edge.source import Loaded
from storage.freshness import Freshness, IssuerFreshness
from storage.reader import Answer

THIS_UPDATE = 1_795_478_400  # Tue, 24 Nov 2026 00:00:00 GMT
NEXT_UPDATE = THIS_UPDATE + 4 * 86_400 - 1
REFRESH_BY = THIS_UPDATE + 2 * 86_400
GENERATION = 42

NONCE = bytes.fromhex("2b0601050507300102")
_OIDS = {SHA1: bytes.fromhex("2b0e03021a"), SHA256: bytes.fromhex("608648016503040201")}


def cert_id(serial: int = 0x1234, hash_oid: str = SHA1, issuer: bytes = b"issuer") -> CertID:
    """Return the CertID of a serial number, as the certificate would hold it."""
    make = sha1 if hash_oid == SHA1 else sha256
    octets = serial.to_bytes((serial if serial >= 0 else ~serial).bit_length() // 8 + 1, "big", signed=True)
    return CertID(hash_oid, make(b"name of " + issuer).digest(), make(b"key of " + issuer).digest(), octets)


def encode_cert_id(named: CertID, *, parameters: bytes = tlv(NULL), oid: bytes | None = None) -> bytes:
    algorithm = tlv(SEQUENCE, tlv(OID, oid or _OIDS[named.hash_oid]), parameters)
    hashes = tlv(OCTET_STRING, named.issuer_name_hash) + tlv(OCTET_STRING, named.issuer_key_hash)
    return tlv(SEQUENCE, algorithm, hashes, tlv(INTEGER, named.serial))


def encode_request(
    *cert_ids: CertID | bytes,
    before: bytes = b"",
    after: bytes = b"",
    in_request: bytes = b"",
    signature: bytes = b"",
) -> bytes:
    """Return an OCSPRequest; `before` and `after` stand around the list, `in_request` behind each CertID."""
    encoded = [named if isinstance(named, bytes) else encode_cert_id(named) for named in cert_ids]
    requests = tlv(SEQUENCE, *(tlv(SEQUENCE, each, in_request) for each in encoded))
    return tlv(SEQUENCE, tlv(SEQUENCE, before, requests, after), signature)


def nonce_extension(nonce: bytes, *, wrapped: bool = True) -> bytes:
    """Return requestExtensions with a nonce alone."""
    value = tlv(OCTET_STRING, tlv(OCTET_STRING, nonce) if wrapped else nonce)
    return tlv(0xA2, tlv(SEQUENCE, tlv(SEQUENCE, tlv(OID, NONCE), value)))


def encode_response(*cert_ids: CertID, this_update: int = THIS_UPDATE, next_update: int = NEXT_UPDATE) -> bytes:
    """Return a response about these, made by asn1crypto; its signature is none, which the edge cannot tell."""
    singles = [
        {
            "cert_id": {
                "hash_algorithm": {"algorithm": HASH_NAMES[named.hash_oid]},
                "issuer_name_hash": named.issuer_name_hash,
                "issuer_key_hash": named.issuer_key_hash,
                "serial_number": named.serial_number,
            },
            "cert_status": ocsp.CertStatus("good"),
            "this_update": datetime.fromtimestamp(this_update, UTC),
            "next_update": datetime.fromtimestamp(next_update, UTC),
        }
        for named in cert_ids
    ]
    data = {
        "responder_id": ocsp.ResponderId("by_key", bytes(20)),
        "produced_at": datetime.fromtimestamp(this_update, UTC),
        "responses": singles,
    }
    basic = {"tbs_response_data": data, "signature_algorithm": {"algorithm": "sha256_ecdsa"}, "signature": bytes(71)}
    response_bytes = {
        "response_type": "basic_ocsp_response",
        "response": ocsp.ParsableOctetString(ocsp.BasicOCSPResponse(basic).dump()),
    }
    der: bytes = ocsp.OCSPResponse({"response_status": "successful", "response_bytes": response_bytes}).dump()
    return der


def cert_ids_in(response: bytes) -> list[CertID]:
    """Return whom a response is about."""
    return [single.cert_id for single in singles_in(response)]


def answer_to(*cert_ids: CertID, refresh_by: int = REFRESH_BY, generation: int = GENERATION) -> Answer:
    """Return an answer about these in the window of this module."""
    return Answer(encode_response(*cert_ids), "good", THIS_UPDATE, THIS_UPDATE, NEXT_UPDATE, refresh_by, generation)


def freshness_until(end: int, *issuers: tuple[str, int, int]) -> Freshness:
    """Return that of a generation of one shard; `issuers` are names, until when they hold, and when they are due."""
    return Freshness(
        issuers=tuple(
            IssuerFreshness(issuer_id=at, label=label, holds_until=holds, fresh_until=holds, refresh_by=due)
            for at, (label, holds, due) in enumerate(issuers)
        ),
        shard_ends=(end,),
        fresh_until=end,
        refresh_by=min((due for _, _, due in issuers), default=end),
        first_begins=end - 4 * 86_400,
        begins=end - 4 * 86_400,
        produced_at=end - 4 * 86_400,
    )


@dataclass
class FakeSource:
    """A source with the answers it is given; `failure` is raised by every lookup."""

    answers: dict[CertID, Answer] = field(default_factory=dict)
    generation: int | None = GENERATION
    freshness: Freshness | None = field(default_factory=lambda: freshness_until(NEXT_UPDATE))
    failure: Exception | None = None
    epoch: object = None
    loaded: Loaded | None = None

    def store_clock_s(self) -> float | None:
        return None

    def lookup(self, cert_id: CertID) -> Answer | None:
        if self.failure is not None:
            raise self.failure
        return self.answers.get(cert_id)


def source_of(*cert_ids: CertID) -> FakeSource:
    """Return a source that answers for each of these."""
    return FakeSource({named: answer_to(named) for named in cert_ids})
