"""An edge, asked in this process as clients ask it: requests made by another library, answers read by it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pregen.issuers import read_certificates
from storage.edge.record import OcspStatus
from storage.edge.respond import HttpRequest, respond
from storage.reader import open_reader
from storage.stores import LocalStore

_HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}


def answers(
    store: Path, issuer: Path, serials: Iterable[str], hash_names: Sequence[str], now: int
) -> dict[str, Counter[str]]:
    """Ask the current generation of a store about certificates; return how many got which answer, by hash.

    An answer is ``good``, ``revoked`` or ``unknown``, or the name of the OCSPResponseStatus where there is none.

    Args:
        store: its folder.
        issuer: file of the issuer's certificate.
        serials: in hex.
        hash_names: of the CertIDs, ``sha1`` and ``sha256``.
        now: of the edge, in seconds since 1970.

    Raises:
        StorageError, OSError: the store is empty or damaged.
    """
    source, authority = open_reader(LocalStore(store)), read_certificates(issuer)[0]
    numbers = [int(serial, 16) for serial in serials]
    counts: dict[str, Counter[str]] = {}
    for hash_name in hash_names:
        name_hash, key_hash = (
            hashlib.new(hash_name, hashed, usedforsecurity=False).digest()
            for hashed in (authority.subject, authority.key_bits)
        )
        counts[hash_name] = Counter()
        for number in numbers:
            builder = ocsp.OCSPRequestBuilder()
            asked = builder.add_certificate_by_hash(name_hash, key_hash, number, _HASHES[hash_name]).build()
            body = asked.public_bytes(Encoding.DER)
            reply = respond(source, HttpRequest(method="POST", raw_path=b"/", headers={}, body=body), now)
            counts[hash_name][_said(reply.body, number)] += 1
    return counts


def _said(body: bytes, number: int) -> str:
    response = ocsp.load_der_ocsp_response(body)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return OcspStatus(response.response_status.value).name
    said = {(single.serial_number, single.certificate_status) for single in response.responses}
    if len(said) != 1:
        return "contradicting answers"
    ((serial, status),) = said
    return status.name.lower() if serial == number else "an answer about another certificate"
