"""Batches on their way: signers elsewhere get the next ones before they have answered the first.

A device or a service answers after milliseconds, and signs several batches at a time. Whoever signs shards hands over
one batch after the other, and takes the signatures when they are there. A signer that computes in this process is done
when its call returns; nothing is copied or kept for it.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pregen.signers.base import KeyIndexes, Octets, Signer

Rows: TypeAlias = slice | NDArray[np.intp]


class RemoteSigner(ABC):
    """A signer that is asked and answers later.

    Attributes:
        outstanding: how many batches it takes before the first one is collected, one at least.
    """

    outstanding: int

    @abstractmethod
    def submit(self, messages: Octets, keys: KeyIndexes) -> object:
        """Hand over a batch, as `Signer.sign` gets it; return what collects it. The arrays are the signer's to keep.

        Raises:
            SigningError: nothing of this batch may be used.
        """

    @abstractmethod
    def collect(self, batch: object) -> Octets:
        """Wait for the signatures of a batch: see `Signer.sign`. Batches are collected in the order of `submit`.

        Raises:
            SigningError: nothing of this batch may be used.
        """

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        """Sign one batch, and wait for it: see `Signer`."""
        return self.collect(self.submit(messages.copy(), keys.copy()))


class _Batch(NamedTuple):
    submitted: object
    into: Octets
    rows: Rows
    columns: slice


class Flight:
    """The batches of some records that signers have, and whose signatures have not come yet."""

    def __init__(self) -> None:
        self._waiting: dict[RemoteSigner, deque[_Batch]] = {}

    def sign(
        self, signer: Signer, messages: Octets, keys: KeyIndexes, into: Octets, rows: Rows, columns: slice
    ) -> None:
        """Have a batch signed; its signatures are in their places when the flight has landed, or before.

        Args:
            signer: of this process, or elsewhere.
            messages: uint8[n, size]; they may change as soon as this returns.
            keys: intp[n].
            into: uint8[m, stride], the records.
            rows: which of them these are.
            columns: where they hold these signatures.
        """
        if not isinstance(signer, RemoteSigner):
            into[rows, columns] = signer.sign(messages, keys)
            return
        waiting = self._waiting.setdefault(signer, deque())
        while len(waiting) >= signer.outstanding:
            _collect(signer, waiting.popleft())
        waiting.append(_Batch(signer.submit(messages.copy(), keys.copy()), into, rows, columns))

    def land(self) -> None:
        """Wait for all signatures that are missing.

        Raises:
            SigningError: one of the batches could not be signed; nothing of these records may be used.
        """
        for signer, waiting in self._waiting.items():
            while waiting:
                _collect(signer, waiting.popleft())


def _collect(signer: RemoteSigner, batch: _Batch) -> None:
    batch.into[batch.rows, batch.columns] = signer.collect(batch.submitted)
