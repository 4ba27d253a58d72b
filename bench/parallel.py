"""The raw loop in several processes at once: what a machine gives to two workers that share nothing."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from bench.figure import BenchError
from bench.raw import open_loop, signing_rate
from pregen.signers import ALGORITHMS, Algorithm

PATIENCE_S = 60.0


def raw_rate(engine: str, algorithm: Algorithm, processes: int, seconds: float) -> float:
    """Return how many signatures a second of wall-clock time several processes make together.

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
    rates = _rates([receiver for receiver, _ in pipes])
    for worker in workers:
        worker.join()
    return sum(rates)


def _rates(receivers: Sequence[Connection]) -> list[float]:
    try:
        return [float(receiver.recv()) for receiver in receivers]
    except EOFError:
        raise BenchError("a process with a raw loop ended early: see above") from None


def _measure(engine: str, algorithm: str, seconds: float, barrier: Barrier, sender: Connection) -> None:
    loop = open_loop(engine, ALGORITHMS[algorithm])
    loop.sign()  # warm, before the others wait
    barrier.wait(PATIENCE_S)
    sender.send(signing_rate(loop, seconds, time.perf_counter))
