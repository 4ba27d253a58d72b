"""Signing in bulk: engines, and the algorithms that they sign with.

base.py          the contract of engines and signers
algorithms.py    what a response says about an algorithm, and how its signatures are stored
keys.py          kinds of private keys, and new ones
selection.py     which engine signs; rates.py measures how fast
software.py, awslc.py, multibuffer/      the engines
single.py        the signer of those that sign one message a call
ecdsa.py         DER signatures to stored ones; ephemeral.py draws the ephemeral keys; emsa.py encodes for RSA
"""

from pregen.signers.algorithms import ALGORITHMS, P256_SHA256, RSA2048_SHA256, Algorithm, algorithm_of
from pregen.signers.base import Engine, KeyIndexes, Octets, PrivateKey, Signer
from pregen.signers.keys import make_key
from pregen.signers.rates import signing_rate
from pregen.signers.selection import AUTO, ENGINES, Choice, choose_engine, engine_named

__all__ = [
    "ALGORITHMS",
    "AUTO",
    "ENGINES",
    "P256_SHA256",
    "RSA2048_SHA256",
    "Algorithm",
    "Choice",
    "Engine",
    "KeyIndexes",
    "Octets",
    "PrivateKey",
    "Signer",
    "algorithm_of",
    "choose_engine",
    "engine_named",
    "make_key",
    "signing_rate",
]
