"""The golden store with overlays, their keys and a list of removals, as a place where publishers can go on from it."""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet

from tests.storage.golden_store import GOLDEN, OVERLAYS

START = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)
NOT_AFTER = datetime(2036, 1, 1, tzinfo=UTC)
REVOKED_AT = datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)
ISSUERS = ("delegated", "self-signed")
_CONFIG = """
[snapshot]
path = "snapshot.parquet"
[validity]
profile = "lab"
[run]
workers = 1
engine = "software"
[publish]
store = "store"
"""


class Certificate(NamedTuple):
    """A row of a snapshot: number of the issuer, content octets of the serial, status and CRLReason."""

    issuer: int
    serial: bytes
    status: str = "good"
    reason: int | None = None


def lay_out(folder: Path, *, with_store: bool) -> Path:
    """Put keys, certificates and a configuration into a folder, and the store too; return the configuration's path."""
    shutil.copytree(GOLDEN / "keys", folder, dirs_exist_ok=True)
    if with_store:
        shutil.copytree(OVERLAYS / "store", folder / "store")
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    config = folder / "pregen.toml"
    issuers = (GOLDEN / "keys" / "pregen.toml").read_text().partition("[publish]")[0]
    config.write_text(_CONFIG + issuers)
    return config


def write_snapshot(path: Path, of: Iterable[Certificate]) -> Path:
    """Write a snapshot of certificates, or a file of changes."""
    rows = list(of)
    revoked = [row.status == "revoked" for row in rows]
    table = pa.table(
        {
            "issuer": [ISSUERS[row.issuer] for row in rows],
            "serial": pa.array([row.serial for row in rows], pa.binary()),
            "status": [row.status for row in rows],
            "revoked_at": pa.array([REVOKED_AT if one else None for one in revoked], pa.timestamp("s", "UTC")),
            "reason": pa.array([row.reason for row in rows], pa.int8()),
            "not_after": pa.array([NOT_AFTER] * len(rows), pa.timestamp("s", "UTC")),
        }
    )
    pyarrow.parquet.write_table(table, path)
    return path
