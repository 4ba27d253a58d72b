"""Signature algorithms: what a response says about them, and how their signatures are stored."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm of OCSP responses.

    Attributes:
        name: what configuration checks, engines and reports call it.
        identifier: DER of the AlgorithmIdentifier, octet by octet as TLS BR 7.1.3.2 fixes it.
        encoding: how it is stored: ``ecdsa`` as fixed-width r and s, ``octets`` as it is (storage.tables).
        signature_bytes: size of a stored signature.
        digest: hashlib name of its digest.
    """

    name: str
    identifier: bytes
    encoding: Literal["ecdsa", "octets"]
    signature_bytes: int
    digest: str


P256_SHA256 = Algorithm("p256-sha256", bytes.fromhex("300a06082a8648ce3d040302"), "ecdsa", 64, "sha256")
RSA2048_SHA256 = Algorithm("rsa2048-sha256", bytes.fromhex("300d06092a864886f70d01010b0500"), "octets", 256, "sha256")
ALGORITHMS = {algorithm.name: algorithm for algorithm in (P256_SHA256, RSA2048_SHA256)}
