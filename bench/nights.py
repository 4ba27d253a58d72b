"""What one night costs, where a run signs what is new, changed or due and carries the rest over, beside a run of all.

Answers live for seven days and are replaced after half of it, so a cycle has three nights. Two nights are acted out
under profile `lab`, which takes any `--now`; the third one is measured: one certificate in a hundred is new, one in a
thousand has been revoked, and a third are in tonight's slot. Both kinds of runs take turns, on copies of the store.
"""

import shutil
import statistics
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.figure import Figure, Result, Target
from bench.runs import RunReport, removed, run_workload
from bench.sizes import Sizes
from bench.turns import take_turns
from bench.workload import Workload, make_workload
from pregen import clock
from pregen.signers import P256_SHA256, RSA2048_SHA256, Algorithm
from pregen.snapshot import RowStatus

NEW_SHARE, REVOKED_SHARE = 0.01, 0.001
DAY = timedelta(days=1)
ROUNDS = 3
TARGETS = {
    P256_SHA256: Target(must=0.60, wish=0.50, at_most=True),
    RSA2048_SHA256: Target(must=0.40, wish=0.36, at_most=True),
}


def measure_nights(sizes: Sizes, folder: Path, rounds: int = ROUNDS) -> Iterator[Result]:
    """Yield CPU time of a night over that of a run that signs everything, for two algorithms."""
    for algorithm, rows in ((P256_SHA256, sizes.night_rows), (RSA2048_SHA256, sizes.night_rsa_rows)):
        with removed(make_workload(folder / "nights", rows, algorithm)) as workload:
            yield _figure(workload, algorithm, rounds)


def _figure(workload: Workload, algorithm: Algorithm, rounds: int) -> Figure:
    before = write_day_before(workload)
    text = workload.config.read_text().replace('"strict"', '"lab"').replace('"4d"', '"7d"')
    workload.config.write_text(text)
    now = clock.now()
    for nights in (2, 1):
        then = clock.text(now - nights * DAY)
        # No revocation came between the two: whoever looks at real ones finds that odd.
        accepted = ("--accept", "zone", "--reason", "acted out")
        acted = ("--snapshot", str(before), "--now", then, "--as-of", then, *accepted)
        run_workload(workload, "--workers", "1", *acted)
    kept = workload.folder / "kept"
    workload.store.rename(kept)

    def published(*options: str) -> RunReport:
        shutil.copytree(kept, workload.store)
        report = run_workload(workload, "--workers", "1", *options)
        shutil.rmtree(workload.store)
        return report

    full, nightly = take_turns(rounds, lambda: published("--full"), published)
    night_s, full_s = (statistics.median(one.cpu_seconds for one in reports) for reports in (nightly, full))
    return Figure(
        name=f"nights.{algorithm.name}",
        group=f"a night of {workload.rows:,} rows, {algorithm.name}, lifetime 7d: 1 % new, 0.1 % revoked, a third due",
        title="CPU time / --full",
        value=night_s / full_s,
        target=TARGETS[algorithm],
        note=f"by {full[0].engine}",
        detail={"night_s": night_s, "full_s": full_s, "carried": nightly[0].carried},
    )


def write_day_before(workload: Workload) -> Path:
    """Write the snapshot of the night before: without the last certificates, and some of the revoked still good."""
    [path] = workload.snapshots
    table = pq.read_table(path)
    table = table.slice(0, round(len(table) * (1 - NEW_SHARE)))
    status = table["status"].to_numpy().copy()
    revoked = np.flatnonzero(status == RowStatus.REVOKED)
    by_time = revoked[np.argsort(table["revoked_at"].to_numpy()[revoked])]
    status[by_time[-round(len(table) * REVOKED_SHARE) :]] = RowStatus.GOOD  # nothing later than that night stays
    good = pa.array(status == RowStatus.GOOD)
    for name in ("revoked_at", "reason"):
        column = table[name].combine_chunks()
        table = table.set_column(
            table.schema.get_field_index(name), table.schema.field(name), pc.if_else(good, None, column)
        )
    table = table.set_column(table.schema.get_field_index("status"), table.schema.field("status"), pa.array(status))
    before = workload.folder / "day-before.parquet"
    pq.write_table(table, before)
    return before
