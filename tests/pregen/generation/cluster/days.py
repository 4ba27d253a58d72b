"""Snapshots of several files for clusters, and what runs of one machine and of several have in common."""

import numpy as np
import pyarrow as pa

from tests.pregen.cli.ca import Ca, instants

# Members of the report that do not depend on who did the work.
SAME = ("certificates", "responses", "excluded", "shards", "rows_in", "by_issuer")


def write_day(ca: Ca, seed: int, files: int, most_rows: int = 9_000, folder: str = "day") -> None:
    """Write a snapshot of so many files, and configure it; some certificates are revoked."""
    random = np.random.default_rng(seed)
    (ca.folder / folder).mkdir(exist_ok=True)
    for number in range(files):
        count = int(random.integers(most_rows * 3 // 4, most_rows))
        status = random.choice([0, 1], count, p=[0.9, 0.1]).astype(np.uint8)
        revoked_at = ca.now.replace(microsecond=0)
        ca.export(
            to=f"{folder}/{number}.parquet",
            serial=pa.array(
                [(1 << 40 | seed << 32 | number << 16 | n).to_bytes(6, "big") for n in range(count)], pa.binary()
            ),
            status=pa.array(status),
            revoked_at=instants(*[revoked_at if one else None for one in status.tolist()]),
            reason=None,
        )
    ca.configure(snapshot={"path": folder})
