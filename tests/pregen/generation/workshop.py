"""Rows, issuers and plans for the tests of signing, made by the real code as far as there is some."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pregen.config import load_config
from pregen.generation.making.plan import Plan, make_plan
from pregen.generation.making.shard import ShardSigner, SignedShard, SigningJob, SignTask
from pregen.generation.rows.parts import spooled
from pregen.generation.rows.routing import ShardFile, route
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.rows.spill import Spilled
from pregen.generation.rows.spool import FolderSpool
from pregen.generation.work.steps import Steps
from pregen.issuers import Issuer, load_issuers
from pregen.signers import KeyUse
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE, NO_REASON, RowStatus, StatusBatch
from pregen.validity import ValidityWindow
from storage.key import KEY32, split
from storage.stores.base import Store
from storage.stores.local import LocalStore
from tests import pki

GOOD, REVOKED, UNKNOWN = RowStatus

NOW = pki.NOW
REASONS = (1, 2, 3, 4, 5, 6, 9, 10)


class Row(NamedTuple):
    """One row of a snapshot."""

    serial: bytes
    status: int = GOOD
    revoked_at: int = 0
    reason: int = NO_REASON
    not_after: int = NO_EXPIRY
    issuer: int = 0
    withheld: bool = False
    precertificate: bool = False


def write_snapshot(path: Path, rows: Sequence[Row], as_of: datetime) -> None:
    """Write rows as Parquet; their issuers are called r0, r1 and so on."""
    revoked = [row.revoked_at if row.status == REVOKED else None for row in rows]
    expiry = [None if row.not_after == NO_EXPIRY else row.not_after for row in rows]
    table = pa.table(
        {
            "serial": pa.array([row.serial for row in rows], pa.binary()),
            "status": pa.array([row.status for row in rows], pa.uint8()),
            "revoked_at": pa.array(revoked, pa.int64()).cast(pa.timestamp("s", "UTC")),
            "reason": pa.array([row.reason if row.reason >= 0 else None for row in rows], pa.int8()),
            "not_after": pa.array(expiry, pa.int64()).cast(pa.timestamp("s", "UTC")),
            "issuer": pa.array([f"r{row.issuer}" for row in rows]),
        }
    )
    pq.write_table(table.replace_schema_metadata({"pregen.as_of": as_of.isoformat()}), path)


def batch_of(rows: Sequence[Row], first: int = 0) -> StatusBatch:
    apart = np.array([row.withheld for row in rows], np.bool_)
    early = np.array([row.precertificate for row in rows], np.bool_)
    whole = StatusBatch(
        serial=pa.array([row.serial for row in rows], pa.binary()),
        issuer=np.array([row.issuer for row in rows], np.int32),
        status=np.array([row.status for row in rows], np.uint8),
        revoked_at=np.array([row.revoked_at for row in rows], np.int64),
        reason=np.array([row.reason for row in rows], np.int8),
        not_after=np.array([row.not_after for row in rows], np.int64),
        not_before=np.full(len(rows), NO_ISSUANCE),
        row=np.arange(first, first + len(rows), dtype=np.int64),
        precertificate=early if early.any() else None,
    )
    return whole.filtered(~apart, apart) if apart.any() else whole


def spool(
    folder: Path, rows: Sequence[Row], *, shards: int = 1, issuer_ids: Sequence[int] = (1, 2)
) -> tuple[ShardFile, ...]:
    """Route rows to files in `folder`."""
    folder.mkdir(exist_ok=True, parents=True)
    batches = [batch_of(rows)] if rows else []
    return route(batches, FolderSpool(folder), split(0, KEY32, shards), np.array(issuer_ids, np.uint64), Steps())


def respooled(file: ShardFile, rows: Spilled) -> ShardFile:
    """Return a shard with other rows in place of its own."""
    return replace(file, pieces=spooled(file.pieces.spool, rows))


def load(folder: Path, rows: Sequence[Row], *, expired_before: int | None = None) -> ShardRows:
    """Return rows as the worker of their only shard sees them."""
    return load_shard(spool(folder, rows)[0], expired_before)


def serials_of(rows: ShardRows) -> list[bytes]:
    """Return the serials of loaded rows in their order."""
    groups = rows.codes >> 2 & 63
    return [rows.serials(np.array([at]), int(size)).tobytes() for at, size in enumerate(groups)]


SIZES = range(4, 22)  # of serials
FEW_SIZES = (4, 8, 16, 21)  # where lengths are not what a test is about: each costs a run some templates of its own


def various_rows(count: int, issuers: int = 1, seed: int = 1, sizes: Sequence[int] = SIZES) -> list[Row]:
    """Return rows of every serial length, status and reason; a few serials are negative."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        size = sizes[i % len(sizes)]
        sign = 0x80 if i % 11 == 7 else 0
        serial = bytes([random.integers(1, 128) | sign]) + i.to_bytes(3, "big") + random.bytes(size - 4)
        kind, issuer = i % 5, (i + i // len(sizes)) % issuers  # each length has rows of each issuer
        if kind == 3:
            rows.append(Row(serial, REVOKED, 1_700_000_000 + i, REASONS[i // 5 % 8], issuer=issuer))
        elif kind == 4:
            rows.append(Row(serial, REVOKED, 1_600_000_000 + i, issuer=issuer))
        else:
            rows.append(Row(serial, UNKNOWN if kind == 2 else GOOD, issuer=issuer))
    return rows


def plain_rows(count: int) -> list[Row]:
    """Return good rows with serials of 16 octets."""
    random = np.random.default_rng(count)
    return [Row(b"\x55" + i.to_bytes(4, "big") + random.bytes(11)) for i in range(count)]


def make_issuers(folder: Path, *sections: dict[str, str], key: pki.KeyKind = "p256") -> tuple[Issuer, ...]:
    """Write certificates and keys for each section, and load them; a section's fields win over the usual ones.

    `self-signing` is no field of the configuration: its section has no responder.
    """
    folder.mkdir(exist_ok=True, parents=True)
    lines = ['[publish]\nstore = "store"']
    for number, section in enumerate(sections or ({},)):
        fields = {"name": f"r{number}", "certificate": f"ca{number}.pem"} | section
        alone = fields.pop("self-signing", "") == "yes"
        ca = pki.make_issuer(f"Example Root R{number}", key=pki.make_key(key))
        ca.write(folder, f"ca{number}")
        if alone:
            fields["key"] = f"ca{number}.key"
        else:
            responder = pki.make_responder(ca, f"Example OCSP {number}", key=pki.make_key(key))
            responder.write(folder, f"ocsp{number}")
            fields |= {"responder_certificate": f"ocsp{number}.pem", "key": f"ocsp{number}.key"}
        lines += ["[[issuer]]", *(f'{name} = "{value}"' for name, value in fields.items())]
    (folder / "pregen.toml").write_text("\n".join(lines))
    issuers, _ = load_issuers(load_config(folder / "pregen.toml"), NOW)
    return issuers


def make_window(start: datetime = NOW, days: int = 4) -> ValidityWindow:
    end = start + timedelta(days=days) - timedelta(seconds=1)
    return ValidityWindow(
        produced_at=start, this_update=start, next_update=end, refresh_by=start + timedelta(days=days) / 2
    )


@dataclass
class Bench:
    """Shards signed as a worker signs them, in this process, into a local store."""

    folder: Path
    issuers: tuple[Issuer, ...]
    windows: tuple[ValidityWindow, ...] = ()
    engine: str = "software"
    engines: dict[KeyUse, str] = field(default_factory=dict)
    files: tuple[ShardFile, ...] = ()
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.windows = self.windows or tuple(make_window() for _ in self.issuers)
        self.store = LocalStore(self.folder / "store")

    def spool(self, rows: Sequence[Row], shards: int = 1) -> Plan:
        """Route rows to shards, and return the plan for them."""
        ids = [issuer.issuer_id for issuer in self.issuers]
        self.files = spool(self.folder / "spool", rows, shards=shards, issuer_ids=ids)
        groups = {group for file in self.files for group in load_shard(file).groups()}
        return make_plan(self.issuers, self.windows, sorted(groups))

    def job(self, plan: Plan) -> SigningJob:
        uses = [issuer.responder.use for issuer in self.issuers]
        engines = {use: self.engine if use.algorithm == "p256-sha256" else "software" for use in uses} | self.engines
        return SigningJob(self.issuers, self.windows, plan, engines, lambda: self.store, 0)

    def tasks(self) -> list[SignTask]:
        """Return a task for each shard; every group of a shard is to be proven there."""
        return [SignTask(file, proofs=frozenset(load_shard(file).groups())) for file in self.files]

    def sign(self, plan: Plan, job: SigningJob | None = None) -> list[SignedShard]:
        signer = ShardSigner(job or self.job(plan))
        return [signer(task) for task in self.tasks()]
