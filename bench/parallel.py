"""The raw loop in several processes at once: what a machine gives to two workers that share nothing."""

import multiprocessing
import time
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import NamedTuple

from bench.figure import BenchError
from bench.raw import open_loop, signing_rate
from pregen.signers import ALGORITHMS, Algorithm

_PATIENCE_S = 60.0


class MeasuredSpan(NamedTuple):
    """What one process measured, and when: instants of a clock that all processes share.

    Attributes:
        rate: signatures a second of wall-clock time.
        began: before the first signature.
        ended: after the last one.
    """

    rate: float
    began: float
    ended: float


def total_rate(spans: Iterable[MeasuredSpan]) -> float:
    """Return how many signatures a second several processes made together.

    >>> total_rate([MeasuredSpan(1000, 5.0, 8.0), MeasuredSpan(900, 5.1, 8.1)])
    1900
    """
    return sum(span.rate for span in spans)


def raw_spans(engine: str, algorithm: Algorithm, processes: int, seconds: float) -> list[MeasuredSpan]:
    """Sign in several processes at the same time; return what each made.

    Args:
        engine: that signs.
        algorithm: how.
        processes: each with its own loop; they begin together.
        seconds: how long.

    Raises:
        BenchError: a process failed.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    workers = [
        context.Process(target=_measure, args=(engine, algorithm.name, seconds, barrier, sender), daemon=True)
        for _, sender in pipes
    ]
    for worker in workers:
        worker.start()
    for _, sender in pipes:
        sender.close()  # the process has its own: when that ends, so does the pipe
    spans = _spans([receiver for receiver, _ in pipes])
    for worker in workers:
        worker.join()
    return spans


def _spans(receivers: Sequence[Connection]) -> list[MeasuredSpan]:
    try:
        return [MeasuredSpan(*receiver.recv()) for receiver in receivers]
    except EOFError:
        raise BenchError("a process with a raw loop ended early: see above") from None


def _measure(engine: str, algorithm: str, seconds: float, barrier: Barrier, sender: Connection) -> None:
    loop = open_loop(engine, ALGORITHMS[algorithm])
    loop.sign()  # warm, before the others wait
    barrier.wait(_PATIENCE_S)
    began = time.perf_counter()
    rate = signing_rate(loop, seconds, time.perf_counter)
    sender.send((rate, began, time.perf_counter()))
