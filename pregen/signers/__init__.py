"""Signing in bulk: engines, and the algorithms that they sign with.

base.py          the contract of engines and signers
algorithms.py    what a response says about an algorithm, and how its signatures are stored
selection.py     which engine signs
software.py, awslc.py, multibuffer.py    the engines
ecdsa.py         DER signatures to stored ones; ephemeral.py draws the ephemeral keys
"""

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
