"""How fast engines sign, measured: one by itself, or several beside each other."""

import os
import time
from collections.abc import Iterable, Mapping

import numpy as np

from pregen.errors import SigningError
from pregen.signers.algorithms import Algorithm
from pregen.signers.base import Engine, Octets, PrivateKey

_MESSAGE_BYTES = 200  # about a ResponseData
MAX_ROWS = 4096
CALLS = 4  # as many as `seconds` should hold, at least

# Of a comparison. Whatever else a machine does only adds to the time of a call, in bursts of tens of milliseconds.
# So the engines take turns, and the best call of each counts: for a wrong choice, every single call of the right engine
# would have to be disturbed, while those of another one between them were not.
COMPARED_CALL_S = 0.001
COMPARED_S = 0.05  # for all engines together, plus a call of each to warm up, and one to find how many rows it takes
LEAST_TURNS = 5


class _Pace:
    """One engine with a key, and what a signature of it costs."""

    def __init__(self, engine: Engine, algorithm: Algorithm, key: PrivateKey, messages: Octets) -> None:
        self._signer = engine.open([key], algorithm)
        self._messages = messages
        self._keys = np.zeros(MAX_ROWS, np.intp)
        self._lanes = engine.lanes
        self.rows = engine.lanes

    def spend(self) -> float:
        """Sign as many rows as belong into a call; return the seconds of CPU time."""
        started = time.process_time()
        self._signer.sign(self._messages[: self.rows], self._keys[: self.rows])
        return time.process_time() - started

    def settle(self, seconds: float) -> None:
        """Warm up, and find how many rows take so long: of a slow engine one a lane, of a fast one a full batch."""
        self.spend()
        fitting = int(self._lanes * seconds / max(self.spend(), 1e-6))
        self.rows = min(max(fitting - fitting % self._lanes, self._lanes), MAX_ROWS)


def _messages() -> Octets:
    return np.frombuffer(os.urandom(MAX_ROWS * _MESSAGE_BYTES), np.uint8).reshape(MAX_ROWS, _MESSAGE_BYTES)


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
    pace = _Pace(engine, algorithm, key, _messages())
    pace.settle(seconds / CALLS)
    done, spent = 0, 0.0
    while spent < seconds:
        spent += pace.spend()
        done += pace.rows
    return done / spent


def compared_rates(engines: Iterable[Engine], algorithm: Algorithm, key: PrivateKey) -> Mapping[Engine, float]:
    """Return the signatures a second of CPU time of each engine that can use the key, by the best of its calls.

    About 0.06 seconds in all. The engines take turns, so that whatever slows the machine down slows all of them.
    """
    messages = _messages()
    paces: dict[Engine, _Pace] = {}
    for engine in engines:
        try:
            paces[engine] = _Pace(engine, algorithm, key, messages)
            paces[engine].settle(COMPARED_CALL_S)
        except SigningError:
            paces.pop(engine, None)
    best = dict.fromkeys(paces, float("inf"))
    turns, spent = 0, 0.0
    while paces and (turns < LEAST_TURNS or spent * (turns + 1) / turns < COMPARED_S):
        for engine, pace in paces.items():
            seconds = pace.spend()
            best[engine] = min(best[engine], seconds / pace.rows)
            spent += seconds
        turns += 1
    return {engine: 1 / seconds for engine, seconds in best.items()}
