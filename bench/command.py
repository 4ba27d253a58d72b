"""The command `python -m bench`: options in, results out, no file left behind but those of the results."""

import contextlib
import json as json_text
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

from cyclopts import App, Parameter
from rich.console import Console

from bench.asking import measure_asking
from bench.carry import measure_carry
from bench.cluster import measure_cluster
from bench.edge import measure_edge
from bench.figure import BenchError, Result
from bench.idle import measure_idle
from bench.lookups import measure_lookups
from bench.machine import revision_of, this_machine
from bench.memory import measure_memory
from bench.nights import measure_nights
from bench.overlaid import measure_overlaid
from bench.peers import compare, measure_peers
from bench.pipeline import measure_pipeline
from bench.raw import measure_raw
from bench.report import Results, cells, document, print_table, save
from bench.scale import measure_scale
from bench.sizes import FULL_SIZES, QUICK_SIZES, Sizes
from bench.thousand_million import measure_thousand_million
from bench.urgent import measure_urgent
from pregen import clock
from pregen.exit_codes import ExitCode

RESULTS = Path(__file__).parent / "results"
PLAIN_WIDTH = 132
GO_BYTES = 200 << 20  # of the compiler's cache
PartName = Literal[
    "raw",
    "peers",
    "pipeline",
    "scale",
    "lookups",
    "overlaid",
    "carry",
    "nights",
    "nothing-to-do",
    "urgent",
    "memory",
    "cluster",
    "thousand-million",
    "edge",
    "asking",
]


def _mib(sizes: Sizes) -> str:
    return f"{sizes.disk_bytes / 2**20:,.0f} MiB"


app = App(
    name="python -m bench",
    help_epilogue=(
        f"Snapshots, spill files and stores lie in TMPDIR, or else in /var/tmp: up to {_mib(FULL_SIZES)}, with --quick "
        f"{_mib(QUICK_SIZES)}, removed at the end. JSON and Markdown go to {RESULTS.parent.name}/{RESULTS.name}."
    ),
    version_flags=(),
    default_parameter=Parameter(negative=()),
)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code: 1 where something could not be measured, or is wrong."""
    with _terminable():
        try:
            result = app(arguments, result_action="return_value")
        except BenchError as e:
            sys.stderr.write(f"error: {e}\n")
            return 1
    return result if isinstance(result, int) else 0  # None after a help text


@app.default
def bench(
    *,
    quick: Annotated[
        bool, Parameter(help="Smaller snapshots, none of 20 million rows: some minutes, nothing is judged.")
    ] = False,
    json: Annotated[bool, Parameter(help="Print one JSON object on stdout instead of a table.")] = False,
    only: Annotated[PartName | None, Parameter(help="Measure this part alone.")] = None,
) -> int:
    """Measure Pregen against the raw signature rates of this machine, and against others."""
    deliver(run_bench(QUICK_SIZES if quick else FULL_SIZES, only), RESULTS, as_json=json)
    return 0


def deliver(results: Results, folder: Path, *, as_json: bool) -> None:
    """Write the results to files in `folder`, and to stdout."""
    saved, *others = save(results, folder)
    if as_json:
        sys.stdout.write(json_text.dumps(document(results), ensure_ascii=False) + "\n")
    else:
        # A file or a pipe has no width: there, no cell should be folded.
        print_table(results, Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH))
    _say(f"written to {saved}; beside it: {', '.join(path.name for path in others)}")


def run_bench(sizes: Sizes, only: PartName | None) -> Results:
    """Measure; say on stderr what has been found as it comes.

    Raises:
        BenchError: a measurement could not be made, or what was measured gave a wrong result.
    """
    date, revision, machine, findings = clock.now(), revision_of(), this_machine(), []
    needed = {"raw": 0, "peers": GO_BYTES}.get(only or "", max(GO_BYTES, sizes.disk_bytes))
    with _work_folder(needed) as folder:
        for finding in measure(sizes, only, folder):
            findings.append(finding)
            title, value, *_ = cells(finding, judged=False)
            _say(f"{finding.group}: {title}: {value}")
    return Results(date=date, revision=revision, judged=sizes.judged, only=only, machine=machine, findings=findings)


def measure(sizes: Sizes, only: PartName | None, folder: Path) -> Iterator[Result]:
    """Yield the figures of all parts, or of one; with those of all, what only two of them can say."""
    parts: dict[PartName, Callable[[], Iterator[Result]]] = {
        "raw": lambda: measure_raw(sizes),
        "peers": lambda: measure_peers(sizes, folder),
        "pipeline": lambda: measure_pipeline(sizes, folder),
        "scale": lambda: measure_scale(sizes, folder),
        "lookups": lambda: measure_lookups(sizes, folder),
        "overlaid": lambda: measure_overlaid(sizes, folder),
        "carry": lambda: measure_carry(sizes, folder),
        "nights": lambda: measure_nights(sizes, folder),
        "urgent": lambda: measure_urgent(sizes, folder),
        "nothing-to-do": lambda: measure_idle(sizes, folder),
        "memory": lambda: measure_memory(sizes, folder),
        "cluster": lambda: measure_cluster(sizes, folder),
        "thousand-million": lambda: measure_thousand_million(sizes, folder),
        "edge": lambda: measure_edge(sizes, folder),
        "asking": lambda: measure_asking(sizes, folder),
    }
    found: list[Result] = []
    for part, measured in parts.items():
        for finding in measured() if only in {None, part} else ():
            found.append(finding)
            yield finding
    yield from compare(found)


@contextlib.contextmanager
def _work_folder(needed: int) -> Iterator[Path]:
    """Give a folder with room for `needed` octets; it is gone at the end, whatever happens."""
    parent = Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108 - a new folder is made in it
    free = shutil.disk_usage(parent).free
    if needed:
        _say(f"needs up to {needed / 2**20:,.0f} MiB in {parent}; {free / 2**20:,.0f} MiB are free")
    if free < needed:
        raise BenchError(f"too little space in {parent}: set TMPDIR to a folder on a larger disk, or use --quick")
    with tempfile.TemporaryDirectory(prefix="pregen-bench-", dir=parent) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that the folder is removed and the process in it ended."""

    def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(ExitCode.TERMINATED)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
