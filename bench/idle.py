"""What a run with nothing to do costs, beside `pregen check` of the same: both as processes of their own, in turns.

Nothing has changed since the generation that is published, and no answer is due. So a run reads the snapshot and asks
all gates, as a check does, and then names again what is there.
"""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figure import BenchError, Figure, Result, Target
from bench.runs import removed, run_apart
from bench.sizes import Sizes
from bench.workload import Workload, make_workload

ROUNDS = 3
RATIO = Target(must=1.2, wish=1.05, at_most=True)


class Idle(msgspec.Struct, frozen=True):
    """What is needed of what a run with nothing to do reports."""

    certificates: int
    kept: int
    octets_read: int


def measure_idle(sizes: Sizes, folder: Path, rounds: int = ROUNDS) -> Iterator[Result]:
    """Yield what a run with nothing to do takes, and what a check takes.

    Raises:
        BenchError: one of them failed, or a run found something to do.
    """
    with removed(make_workload(folder / "idle", sizes.multibuffer_rows, dated=True)) as workload:
        config = workload.config.read_text()
        workload.config.write_text(config.replace('lifetime = "4d"', 'lifetime = "7d"'))  # else all is due each night
        _spent(workload, "run")
        checks, runs = [], []
        for _ in range(rounds):
            checks.append(_spent(workload, "check")[0])
            spent, out = _spent(workload, "run")
            runs.append(spent)
            idle = msgspec.json.decode(out, type=Idle)
            if idle.kept != workload.rows or idle.octets_read:
                raise BenchError(f"a run was to have nothing to do, and kept {idle.kept:,} of {workload.rows:,}")
    yield from figures_of_idle(sizes, checks, runs)


def figures_of_idle(sizes: Sizes, checks: list[float], runs: list[float]) -> Iterator[Figure]:
    """Yield what was measured: CPU seconds of checks and of runs."""
    group = f"nothing to do, {sizes.multibuffer_rows:,} rows"
    for name, title, samples in (("check", "pregen check", checks), ("run", "pregen run", runs)):
        yield Figure(
            name=f"nothing-to-do.{name}",
            group=group,
            title=title,
            value=min(samples),
            unit="CPU-s",
            samples=tuple(samples),
        )
    ratio = min(runs) / min(checks)
    yield Figure(name="nothing-to-do.ratio", group=group, title="run / check", value=ratio, target=RATIO)


def _spent(workload: Workload, command: str) -> tuple[float, str]:
    """Return the CPU seconds of a command with all its processes, and what it has printed."""
    before = _cpu_s()
    code, out = run_apart((sys.executable, "-m", "pregen", command, str(workload.config), "--json", "--workers", "1"))
    if code:
        raise BenchError(f"pregen {command} on {workload.rows:,} rows ended with exit code {code}: {out.strip()}")
    return _cpu_s() - before, out


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
