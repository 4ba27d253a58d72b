"""Snapshots as files of every format, and what is read from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet
import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import Finding, InputError
from pregen.snapshot import Snapshot, StatusBatch, open_snapshot
from pregen.validity import PROFILES, Profile

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AS_OF = datetime(2026, 11, 24, tzinfo=UTC)


def table(count: int = 3, **changes: "pa.Array[pa.Scalar[pa.DataType]] | None") -> pa.Table:
    """Return good rows, a column changed or added (an array) or left out (None)."""
    columns: dict[str, pa.Array[pa.Scalar[pa.DataType]] | None] = {
        "serial": pa.array([(256 + i).to_bytes(2 + (i >= 2**15 - 256), "big") for i in range(count)], pa.binary()),
        "status": pa.array([0] * count, pa.uint8()),
        "revoked_at": pa.nulls(count, pa.timestamp("ms", "UTC")),
        **changes,
    }
    return pa.table({name: column for name, column in columns.items() if column is not None})


@dataclass
class Desk:
    """A folder for snapshot files, and the arguments that they are opened with."""

    folder: Path
    now: datetime = NOW
    issuers: Mapping[str, int] = field(default_factory=lambda: {"demo-r1": 3})
    public: frozenset[int] = frozenset()
    profiles: Mapping[int, Profile] = field(default_factory=dict)

    def write(
        self, name: str, table: pa.Table, *, as_of: str | None = "2026-11-24T00:00:00Z", group_rows: int | None = None
    ) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if as_of is not None:
            table = table.replace_schema_metadata({"pregen.as_of": as_of})
        match path.suffix:
            case ".parquet":
                pa.parquet.write_table(table, path, row_group_size=group_rows)
            case ".orc":
                pa.orc.write_table(table, path)
            case ".arrow" | ".feather":
                with pa.ipc.new_file(str(path), table.schema) as file:
                    file.write_table(table)
            case ".ipc":
                with pa.ipc.new_stream(str(path), table.schema) as stream:
                    stream.write_table(table)
            case _:
                pa.csv.write_csv(table, path)
        return path

    def open(
        self,
        path: Path | str | None,
        columns: Mapping[str, str | ColumnConfig] | None = None,
        *,
        as_of: datetime | None = None,
        config: SnapshotConfig | None = None,
    ) -> Snapshot:
        config = config or SnapshotConfig(columns=dict(columns or {}))
        text = None if path is None else str(path)
        profiles = self.profiles or dict.fromkeys(self.public, PROFILES["strict"])
        return open_snapshot(
            config, self.folder, path=text, as_of=as_of, now=self.now, issuers=self.issuers, profiles=profiles
        )

    def read(
        self, table: pa.Table, columns: Mapping[str, str | ColumnConfig] | None = None, name: str = "s.parquet"
    ) -> tuple[Snapshot, list[StatusBatch]]:
        snapshot = self.open(self.write(name, table), columns, as_of=AS_OF)
        return snapshot, list(snapshot.batches())

    def findings(
        self, table: pa.Table, columns: Mapping[str, str | ColumnConfig] | None = None, name: str = "s.parquet"
    ) -> dict[str, Finding]:
        snapshot, _ = self.read(table, columns, name)
        return {finding.code: finding for finding in snapshot.findings()}

    def refusal(self, path: Path | str | None, columns: Mapping[str, str | ColumnConfig] | None = None) -> InputError:
        with pytest.raises(InputError) as caught:
            list(self.open(path, columns).batches())
        assert caught.value.exit_code == 3
        return caught.value
