"""What the engine can do on this CPU, and signers for keys."""

import ctypes
from collections.abc import Callable, Sequence
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pregen.errors import SigningError
from pregen.signers.algorithms import ALGORITHMS, ED25519, Algorithm
from pregen.signers.base import PrivateKey, Signer
from pregen.signers.keys import require_kind
from pregen.signers.multibuffer.ecdsa import CURVES, EcdsaSigner, EcdsaWorkspace
from pregen.signers.multibuffer.ed25519 import ALGORITHM_ID, Ed25519Signer, Ed25519Workspace
from pregen.signers.multibuffer.library import has_lanes, load_library
from pregen.signers.multibuffer.rsa import ALGORITHM_IDS, RsaSigner, RsaWorkspace

# MBX_ALGO of crypto_mb/cpu_features.h, by the name of the algorithm
_IDS = {
    **{name: curve.algorithm_id for name, curve in CURVES.items()},
    **{name: ALGORITHM_IDS[one.signature_bytes * 8] for name, one in ALGORITHMS.items() if one.padding is not None},
    ED25519.name: ALGORITHM_ID,
}

_Workspace = TypeVar("_Workspace", EcdsaWorkspace, RsaWorkspace, Ed25519Workspace)


class MultibufferEngine:
    """Signs eight messages at once.

    Args:
        load: returns the library, or why it cannot be had.
    """

    name = "multibuffer"
    lanes = 8

    def __init__(self, load: Callable[[], ctypes.CDLL | str] = load_library) -> None:
        self._load = load
        self._workspaces: dict[str, EcdsaWorkspace | RsaWorkspace | Ed25519Workspace] = {}

    def unavailable(self) -> str | None:
        """Return why the engine cannot work here; None where it works."""
        library = self._load()
        if isinstance(library, str):
            return library
        if not any(has_lanes(library, number) for number in _IDS.values()):
            return "this CPU has neither AVX-512 IFMA nor AVX-IFMA (Intel since Ice Lake, AMD since Zen 4 have them)"
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm: with AVX-IFMA alone, it has RSA alone."""
        library, number = self._load(), _IDS.get(algorithm.name)
        if number is None:
            return False
        return isinstance(library, str) or self.unavailable() is not None or has_lanes(library, number)

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        """Return a signer for private keys of the right kind."""
        require_kind(keys, algorithm)
        library = self._load()
        if isinstance(library, str) or not has_lanes(library, _IDS.get(algorithm.name, -1)):
            raise SigningError(f"engine multibuffer cannot sign {algorithm.name} here: use --engine auto")
        # The comprehensions only tell the type: keys of another kind were refused above.
        if algorithm.encoding == "ecdsa":
            curve = CURVES[algorithm.name]
            workspace = self._workspace(algorithm, EcdsaWorkspace, lambda: EcdsaWorkspace(library, curve))
            return EcdsaSigner(
                [key for key in keys if isinstance(key, ec.EllipticCurvePrivateKey)], algorithm, workspace
            )
        if algorithm.padding is not None:
            bits = 8 * algorithm.signature_bytes
            shared = self._workspace(algorithm, RsaWorkspace, lambda: RsaWorkspace(library, bits))
            return RsaSigner([key for key in keys if isinstance(key, rsa.RSAPrivateKey)], algorithm, shared)
        tables = self._workspace(algorithm, Ed25519Workspace, lambda: Ed25519Workspace(library))
        return Ed25519Signer([key for key in keys if isinstance(key, ed25519.Ed25519PrivateKey)], tables)

    def _workspace(self, algorithm: Algorithm, kind: type[_Workspace], make: Callable[[], _Workspace]) -> _Workspace:
        workspace = self._workspaces.get(algorithm.name)
        if not isinstance(workspace, kind):
            workspace = self._workspaces[algorithm.name] = make()
        return workspace
