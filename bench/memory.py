"""How much memory the largest process of each command takes, in the life of one large store.

Certificates are revoked urgently until the store has eight overlays, the first by a file of rows, the others by serial
numbers on stdin; the ninth change merges them. A rollback copies what they say, and the next run compares it with all
rows.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bench.figure import BenchError, Figure, Result, Target
from bench.runs import removed, run_apart, with_stdin
from bench.sizes import Sizes
from bench.workload import Workload, good_serials, make_workload
from pregen import clock
from pregen.snapshot import AS_OF_KEY, RowStatus

PEAK = Target(must=450, wish=300, at_most=True)
OVERLAYS = 8
WAITER = Path(__file__).with_name("peak.py")


class Step(NamedTuple):
    """One command of the life of a store.

    Attributes:
        name: of its figure; empty where another step shows the same.
        words: after `pregen`.
        title: what it does, beside its name.
        stdin: file that it reads.
    """

    name: str
    words: tuple[str, ...]
    title: str = ""
    stdin: Path | None = None


def measure_memory(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the peak of each command.

    Raises:
        BenchError: one of them failed.
    """
    with removed(make_workload(folder / "memory", sizes.life_rows, dated=True)) as workload:
        text = workload.config.read_text().replace('"strict"', '"lab"').replace('"4d"', '"7d"')
        workload.config.write_text(text)
        group = f"memory of the largest process, {workload.rows:,} rows, overlays of {sizes.life_entries:,}"
        for step in steps_of(workload, sizes.life_entries):
            octets = peak_bytes(workload, step)
            if step.name:
                yield Figure(
                    name=f"memory.{step.name}",
                    group=group,
                    title=f"pregen {step.words[0]}{step.title and ', '}{step.title}",
                    value=octets / 2**20,
                    unit="MiB",
                    target=PEAK,
                )


def steps_of(workload: Workload, entries: int) -> Iterator[Step]:
    """Yield the commands in their order; what each reads is written before it."""
    config, store = str(workload.config), str(workload.store)
    yield Step("check", ("check", config))
    yield Step("", ("run", config, "--snapshot", str(workload.day_before)))
    yield Step("run", ("run", config))
    yield Step("full", ("run", config, "--full"), "--full")
    yield Step("import", ("import", config, "--out", str(workload.folder / "imported")))
    yield Step("verify", ("verify", store, "--config", config))
    yield Step("against", ("verify", store, "--against", config), "--against")
    yield from _changes(workload, entries)
    yield Step("rollback", ("rollback", config, "--to", "1", "--reason", "measured"))
    yield Step("compared", ("run", config), f"after {OVERLAYS} overlays that its snapshot does not confirm")
    yield Step("status", ("status", store))
    yield Step("history", ("history", store))
    yield Step("inspect", ("inspect", store))
    yield Step("lookup", ("lookup", store, "--issuer", str(workload.issuer), "--serial", *good_serials(workload, 0, 1)))
    yield Step("gc", ("gc", config, "--keep", "1", "--grace", "0s"))


def _changes(workload: Workload, entries: int) -> Iterator[Step]:
    """Yield the urgent changes: eight large ones, which revoke, and small ones, the first of which merges those."""
    config = str(workload.config)
    yield Step("delta", ("delta", config, str(_write_changes(workload, entries))))
    for number in range(1, OVERLAYS):
        serials = workload.folder / "serials.txt"
        serials.write_text("\n".join(good_serials(workload, number * entries, entries)))
        words = ("revoke", config, "--issuer", "bench", "--serial", "-")
        yield Step("revoke" if number == 1 else "", words, stdin=serials)
    (one,) = good_serials(workload, OVERLAYS * entries, 1)
    named = (config, "--issuer", "bench", "--serial", one)
    yield Step("merge", ("hold", *named), f"which merges {OVERLAYS} overlays")
    yield Step("release", ("release", *named))


def _write_changes(workload: Workload, entries: int) -> Path:
    """Write the rows of the first good certificates, which are revoked now."""
    serials = [int(one, 16) for one in good_serials(workload, 0, entries)]
    octets = pa.array([one.to_bytes(one.bit_length() // 8 + 1, "big") for one in serials], pa.binary())
    now = clock.now()
    table = pa.table(
        {
            "serial": octets,
            "status": pa.array([RowStatus.REVOKED] * entries, pa.uint8()),
            "revoked_at": pa.array([now] * entries, pa.timestamp("ms", "UTC")),
            "reason": pa.array([1] * entries, pa.int8()),
        }
    )
    path = workload.folder / "changes.parquet"
    pq.write_table(table.replace_schema_metadata({AS_OF_KEY: clock.text(now)}), path)
    return path


def peak_bytes(workload: Workload, step: Step) -> int:
    """Run a command; return how much memory its largest process took.

    Raises:
        BenchError: it failed.
    """
    command = (sys.executable, "-m", "pregen", *step.words, "--quiet")
    return taken_by(workload.folder, command if step.stdin is None else with_stdin(step.stdin, command)).peak_bytes


class Taken(NamedTuple):
    """What a command took: memory of its largest process, and CPU time of all."""

    peak_bytes: int
    cpu_s: float


def taken_by(folder: Path, command: Sequence[str]) -> Taken:
    """Run a command; return what it took.

    Args:
        folder: for a file.
        command: its words.

    Raises:
        BenchError: it failed.
    """
    told = folder / "taken.txt"
    code, out = run_apart((sys.executable, "-SE", str(WAITER), str(told), *command))
    if code:
        words = " ".join(command[command.index("-m") + 1 :] if "-m" in command else command)
        raise BenchError(f"{words} ended with exit code {code}: {out.strip()}")
    octets, seconds = told.read_text().split()
    return Taken(int(octets), float(seconds))
