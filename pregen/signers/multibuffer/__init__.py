"""Engine `multibuffer`: Intel's libcrypto_mb signs eight messages at once, on CPUs with AVX-512 IFMA or AVX-IFMA.

engine.py     what it can do here, and signers for keys
library.py    the library: found, loaded, its functions with their types
lanes.py      eight rows a call: tables of addresses, and what a failed lane says
ecdsa.py      P-256, P-384, P-521
rsa.py        PKCS#1 v1.5 and PSS, each result checked with the public key
ed25519.py    Ed25519, each signature verified

A batch has room for so many rows; what the library reads and writes lies in buffers that stay. The keys of a row are
addresses too, so eight lanes may carry eight keys.
"""

from pregen.signers.multibuffer.ecdsa import CURVES, EcdsaSigner, EcdsaWorkspace
from pregen.signers.multibuffer.ed25519 import Ed25519Signer, Ed25519Workspace
from pregen.signers.multibuffer.engine import MultibufferEngine
from pregen.signers.multibuffer.lanes import LANES
from pregen.signers.multibuffer.library import load_library
from pregen.signers.multibuffer.rsa import RsaSigner, RsaWorkspace

__all__ = [
    "CURVES",
    "LANES",
    "EcdsaSigner",
    "EcdsaWorkspace",
    "Ed25519Signer",
    "Ed25519Workspace",
    "MultibufferEngine",
    "RsaSigner",
    "RsaWorkspace",
    "load_library",
]
