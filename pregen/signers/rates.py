"""How fast an engine signs, measured."""

import os
import time

import numpy as np

from pregen.signers.algorithms import Algorithm
from pregen.signers.base import Engine, PrivateKey

MESSAGE_BYTES = 200  # about a ResponseData
MIN_ROWS, MAX_ROWS = 8, 4096
CALLS = 4  # as many as `seconds` should hold, at least


def signing_rate(engine: Engine, algorithm: Algorithm, key: PrivateKey, seconds: float) -> float:
    """Return signatures a second of CPU time of one signer, messages hashed and ephemeral keys drawn included.

    Args:
        engine: one that works here.
        algorithm: what it signs with.
        key: what it signs with, of the right kind.
        seconds: of CPU time to measure for, after two calls to warm up.

    Raises:
        SigningError: the engine cannot use the key, or cannot sign.
    """
    signer = engine.open([key], algorithm)
    messages = np.frombuffer(os.urandom(MAX_ROWS * MESSAGE_BYTES), np.uint8).reshape(MAX_ROWS, MESSAGE_BYTES)
    keys = np.zeros(MAX_ROWS, np.intp)

    def spend(rows: int) -> float:
        started = time.process_time()
        signer.sign(messages[:rows], keys[:rows])
        return time.process_time() - started

    spend(MIN_ROWS)
    # As many rows as fit: eight for a slow algorithm, a full batch for a fast one.
    fitting = int(MIN_ROWS * seconds / CALLS / max(spend(MIN_ROWS), 1e-6))
    rows = min(max(fitting - fitting % MIN_ROWS, MIN_ROWS), MAX_ROWS)
    done, spent = 0, 0.0
    while spent < seconds:
        spent += spend(rows)
        done += rows
    return done / spent
