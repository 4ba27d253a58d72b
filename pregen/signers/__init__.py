"""Signing in bulk: engines, and the algorithms that they sign with.

key_sources.py   where keys are: the port to files, devices and services
base.py          the contract of engines and signers; flight.py is that of signers elsewhere, which answer later
algorithms.py    what a response says about an algorithm, and how its signatures are stored
keys.py          kinds of private keys, and new ones
selection.py     which engine signs; rates.py measures how fast
software.py, awslc.py, multibuffer/      the engines
single.py        the signer of those that sign one message a call
ecdsa.py         DER signatures to stored ones; ephemeral.py draws the ephemeral keys; emsa.py encodes for RSA
"""

from pregen.signers.algorithms import ALGORITHMS, P256_SHA256, RSA2048_SHA256, Algorithm, algorithm_of
from pregen.signers.base import Engine, KeyIndexes, Octets, PrivateKey, PublicKey, Signer
from pregen.signers.flight import Flight, RemoteSigner, Rows
from pregen.signers.key_sources import KeySource, KeyUse, open_fitting_signer, open_signer
from pregen.signers.keys import kind_of, make_key
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
    "Flight",
    "KeyIndexes",
    "KeySource",
    "KeyUse",
    "Octets",
    "PrivateKey",
    "PublicKey",
    "RemoteSigner",
    "Rows",
    "Signer",
    "algorithm_of",
    "choose_engine",
    "engine_named",
    "kind_of",
    "make_key",
    "open_fitting_signer",
    "open_signer",
    "signing_rate",
]
