"""Does each record of a pack lie where an edge looks for it, and is the pack what its manifest says?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.errors import VerificationError
from storage.certid import serial_text
from storage.key import key32
from storage.manifest import Shard
from storage.reader import LoadedTables
from storage.tables import StoredIssuer


@dataclass(slots=True)
class RunRecords:
    """The records of one run in one pack, and the bucket of each piece of them."""

    pieces: list[bytes] = field(default_factory=list)
    buckets: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, bucket: int, count: int, octets: bytes) -> None:
        """Append records."""
        self.pieces.append(octets)
        self.buckets.append(bucket)
        self.counts.append(count)

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(self.counts)


def check_places(shard: Shard, buckets: int, loaded: LoadedTables, blocks: Mapping[int, RunRecords]) -> None:
    """Refuse records that no edge would find: in the wrong bucket or shard, or behind one of the same certificate."""
    serials: dict[tuple[int, int], list[NDArray[np.uint8]]] = {}
    for run, block in blocks.items():
        tables = loaded.tables
        issuer = tables.issuers[tables.runs[run].issuer]
        size = tables.shapes[tables.runs[run].shape].serial_bytes
        rows = np.frombuffer(b"".join(block.pieces), np.uint8).reshape(-1, loaded.strides[run])[:, :size]
        keys = [key32(serial, issuer.issuer_id) for serial in _opaque(rows).tolist()]
        at = np.array(keys, np.uint64) - np.uint64(shard.low)  # of a lower key: far beyond the range
        width = np.uint64(shard.high - shard.low)
        wrong = (at >= width) | (at * np.uint64(buckets) // width != np.repeat(block.buckets, block.counts))
        if wrong.any():
            raise _misplaced(shard, issuer, rows[int(wrong.argmax())], "lies where no edge looks for it")
        serials.setdefault((issuer.issuer_id, size), []).append(rows)  # one id may have several entries
    issuers = {issuer.issuer_id: issuer for issuer in loaded.tables.issuers}
    for (issuer_id, _), parts in serials.items():
        ordered = np.sort(_opaque(np.concatenate(parts)))
        twice = ordered[1:] == ordered[:-1]
        if twice.any():
            serial = np.frombuffer(ordered[int(twice.argmax())].tobytes(), np.uint8)
            raise _misplaced(shard, issuers[issuer_id], serial, "stands there twice, and edges take either")


def _opaque(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """Return the rows of uint8[n, size] as n values, which compare and become bytes as wholes."""
    return np.ascontiguousarray(rows).view(f"V{rows.shape[1]}")[:, 0]


def _misplaced(shard: Shard, issuer: StoredIssuer, serial: NDArray[np.uint8], how: str) -> VerificationError:
    return VerificationError(f"{shard.pack}: serial {serial_text(serial.tobytes())} of {issuer.label} {how}")


def check_shard(shard: Shard, loaded: LoadedTables, counts: Mapping[int, int]) -> None:
    """Refuse a manifest that says something else of a pack than what was found in it, as records by run."""
    tables = loaded.tables
    shapes = {run: tables.shapes[tables.runs[run].shape] for run in counts}
    found = {
        "rows": sum(counts.values()),
        "revoked": sum(count for run, count in counts.items() if shapes[run].status == "revoked"),
    }
    windows = [tables.windows[tables.runs[run].window] for run, count in counts.items() if count]
    if windows:
        found["refresh_by"] = min(window.refresh_by for window in windows)
        found["next_update"] = max(window.next_update for window in windows)
    for name, value in found.items():
        if value != (said := getattr(shard, name)):
            raise VerificationError(f"the manifest says {name} {said:,} of {shard.pack}, which holds {value:,}")
