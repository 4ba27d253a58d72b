"""A signer that signs one message a call: what the engines `software` and `awslc` share."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from pregen.errors import SigningError
from pregen.signers.algorithms import Algorithm
from pregen.signers.base import KeyIndexes, Octets, digests, require_indexes
from pregen.signers.ecdsa import fixed_width

Sign: TypeAlias = Callable[[bytes], bytes]


class SingleSigner:
    """Signs message by message.

    Args:
        functions: for each key, what makes a signature of a digest, or of a message where the algorithm has no digest.
        algorithm: what they sign with.
    """

    def __init__(self, functions: Sequence[Sign], algorithm: Algorithm) -> None:
        self._functions = tuple(functions)
        self._algorithm = algorithm

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        """Sign each row: see `Signer`."""
        require_indexes(messages, keys, len(self._functions))
        digest, size = self._algorithm.digest, self._algorithm.signature_bytes
        rows = (messages if digest is None else digests(messages, digest)).tobytes()
        step = len(rows) // len(messages) if len(messages) else 1
        functions = self._functions
        pairs = list(zip(range(0, len(rows), step), keys.tolist(), strict=True))
        try:
            signatures = [functions[key](rows[at : at + step]) for at, key in pairs]
        except (RuntimeError, ValueError) as e:
            raise SigningError(f"the engine could not sign with {self._algorithm.name}: {e}") from e
        if self._algorithm.encoding == "ecdsa":
            return fixed_width(signatures, size // 2)
        if any(len(signature) != size for signature in signatures):
            raise SigningError(f"the engine returned signatures of another size than {self._algorithm.name} has")
        return np.frombuffer(b"".join(signatures), np.uint8).reshape(len(messages), size)
