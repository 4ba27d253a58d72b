"""Signing in bulk: engines, and the algorithms that they sign with."""

from pregen.signers.algorithms import ALGORITHMS, P256_SHA256, RSA2048_SHA256, Algorithm
from pregen.signers.base import Engine, Octets, PrivateKey, Signer
from pregen.signers.selection import AUTO, ENGINES, engine_named

__all__ = [
    "ALGORITHMS",
    "AUTO",
    "ENGINES",
    "P256_SHA256",
    "RSA2048_SHA256",
    "Algorithm",
    "Engine",
    "Octets",
    "PrivateKey",
    "Signer",
    "engine_named",
]
