"""What is signed: the octets of many ResponseData at once, filled into templates as arrays."""

import numpy as np
from numpy.typing import NDArray

from pregen.generation.making.plan import Plan
from pregen.signers import Octets
from storage.response import Assembler

MESSAGE_ROWS = 4096  # messages of one call of a signer: they stay in the second-level cache


class Scratch:
    """Memory for the messages of one batch, whatever their shape: a worker has one, however many shapes there are."""

    def __init__(self) -> None:
        self._octets = np.empty(0, np.uint8)
        self.holds: object = None  # whose constants are in it

    def rows(self, size: int) -> Octets:
        """Return uint8[MESSAGE_ROWS, size]."""
        if len(self._octets) < MESSAGE_ROWS * size:
            self._octets, self.holds = np.empty(MESSAGE_ROWS * size, np.uint8), None
        return self._octets[: MESSAGE_ROWS * size].reshape(MESSAGE_ROWS, size)


class Messages:
    """Octets to be signed for the records of one shape, uint8[n, size]: constants of each run, and holes.

    Attributes:
        signature: where a record holds the signature of these messages.
    """

    def __init__(self, plan: Plan, shape: int, which: int, scratch: Scratch) -> None:
        """Take one of the responses of a shape, of the runs that have it and are signed tonight."""
        runs = [number for number in plan.runs.values() if plan.tables.runs[number].shape == shape]
        assemblers = [Assembler(plan.name, plan.tables, plan.tables.runs[run], which) for run in runs]
        self.signature = assemblers[0].signature
        self._holes = assemblers[0].holes  # one template: the same in all
        self._first_run = runs[0]
        self._place = np.zeros(runs[-1] - runs[0] + 1, np.intp)  # of each run's constants; others are between them
        self._place[np.array(runs) - runs[0]] = np.arange(len(runs))
        self._constants = np.frombuffer(b"".join(one.base for one in assemblers), np.uint8).reshape(len(runs), -1)
        self._scratch = scratch

    def fill(self, records: Octets, runs: NDArray[np.intp]) -> Octets:
        """Return the messages of some records; valid until the next call, of whatever shape.

        Args:
            records: uint8[n, stride], n at most `MESSAGE_ROWS`.
            runs: intp[n], the run of each.
        """
        messages = self._scratch.rows(self._constants.shape[1])[: len(records)]
        if len(self._constants) > 1:
            np.take(self._constants, self._place[runs - self._first_run], axis=0, out=messages)
            self._scratch.holds = None
        elif self._scratch.holds is not self:  # else they are there from the batch before
            messages[:] = self._constants[0]
            self._scratch.holds = self if len(messages) == MESSAGE_ROWS else None
        for hole in self._holes:
            field = records[:, hole.first : hole.last]
            messages[:, hole.at : hole.end] = generalized_times(field) if hole.is_time else field
        return messages


def generalized_times(field: Octets) -> Octets:
    """Return times, uint8[n, 4] in seconds since 1970, little-endian, as the 14 digits of GeneralizedTime.

    >>> generalized_times(np.array([[0, 0, 0, 0]], np.uint8)).tobytes()
    b'19700101000000'
    """
    moments = np.ascontiguousarray(field).view("<u4")[:, 0].astype("datetime64[s]")
    text = np.datetime_as_string(moments).astype("S19").view(np.uint8).reshape(-1, 19)
    return text[:, [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]]
