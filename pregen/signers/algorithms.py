"""Signature algorithms: what a response says about them, and how their signatures are stored.

Identifiers of ECDSA and RSA are those that TLS Baseline Requirements, 7.1.3.2 fix octet by octet; those of Ed25519
(RFC 8410) and ML-DSA (RFC 9881) have no parameters.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm of OCSP responses.

    Attributes:
        name: what configuration checks, engines and reports call it.
        key: the kind of key that it needs, such as ``p256`` or ``rsa2048``.
        digest: hashlib name of its digest; None where the message itself is signed (PureEdDSA, ML-DSA).
        padding: of RSA; PSS has MGF1 with the same digest, and a salt as long as that.
        encoding: how it is stored: ``ecdsa`` as fixed-width r and s, ``octets`` as it is (storage.tables).
        signature_bytes: size of a stored signature.
        identifier: DER of the AlgorithmIdentifier.
    """

    name: str
    key: str
    digest: Literal["sha256", "sha384", "sha512"] | None
    padding: Literal["pkcs1v15", "pss"] | None
    encoding: Literal["ecdsa", "octets"]
    signature_bytes: int
    identifier: bytes


def _ecdsa(key: str, digest: Literal["sha256", "sha384", "sha512"], order_bytes: int, identifier: str) -> Algorithm:
    return Algorithm(f"{key}-{digest}", key, digest, None, "ecdsa", 2 * order_bytes, bytes.fromhex(identifier))


def _rsa(bits: int, padding: Literal["pkcs1v15", "pss"]) -> Algorithm:
    infix = "-pss" if padding == "pss" else ""
    name, identifier = f"rsa{bits}{infix}-sha256", bytes.fromhex(_RSA_IDENTIFIERS[padding])
    return Algorithm(name, f"rsa{bits}", "sha256", padding, "octets", bits // 8, identifier)


def _pure(name: str, signature_bytes: int, identifier: str) -> Algorithm:
    return Algorithm(name, name, None, None, "octets", signature_bytes, bytes.fromhex(identifier))


_RSA_IDENTIFIERS = {
    "pkcs1v15": "300d06092a864886f70d01010b0500",
    "pss": "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
}
P256_SHA256 = _ecdsa("p256", "sha256", 32, "300a06082a8648ce3d040302")
P384_SHA384 = _ecdsa("p384", "sha384", 48, "300a06082a8648ce3d040303")
P521_SHA512 = _ecdsa("p521", "sha512", 66, "300a06082a8648ce3d040304")
RSA2048_SHA256 = _rsa(2048, "pkcs1v15")
ED25519 = _pure("ed25519", 64, "300506032b6570")

ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        P256_SHA256,
        P384_SHA384,
        P521_SHA512,
        RSA2048_SHA256,
        _rsa(3072, "pkcs1v15"),
        _rsa(4096, "pkcs1v15"),
        _rsa(2048, "pss"),
        _rsa(3072, "pss"),
        _rsa(4096, "pss"),
        ED25519,
        _pure("ml-dsa-44", 2_420, "300b0609608648016503040311"),
        _pure("ml-dsa-65", 3_309, "300b0609608648016503040312"),
        _pure("ml-dsa-87", 4_627, "300b0609608648016503040313"),
    )
}


def algorithm_of(identifier: bytes, signature_bytes: int) -> Algorithm | None:
    """Return the algorithm of the DER of an AlgorithmIdentifier; None where it is none of ours.

    Args:
        identifier: the same for RSA keys of all sizes.
        signature_bytes: size of a stored signature, which tells them apart.
    """
    wanted = identifier, signature_bytes
    return next((one for one in ALGORITHMS.values() if (one.identifier, one.signature_bytes) == wanted), None)
