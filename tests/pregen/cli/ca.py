"""A small CA in a folder: certificates, a configuration, a snapshot, a store; and the program, called in process."""

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.__main__ import main
from tests.pki import DAY, Party, make_issuer, make_responder

Value: TypeAlias = "str | int | float | bool | datetime | Sequence[Value] | Mapping[str, Value]"
Column: TypeAlias = "pa.Array[pa.Scalar[pa.DataType]]"

GOOD, REVOKED, UNKNOWN, ABSENT = 0x11, 0x1234567890ABCDEF12, 0xFF, 0x77
# Members of every JSON object that the program prints.
ALWAYS = ("started_at", "finished_at", "version", "host", "configuration", "store", "as_of", "commit")
SERIALS = (GOOD, REVOKED, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of the program ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, object]:
        """The error in the one JSON object on stdout."""
        assert set(self.document) == {*ALWAYS, "error"}
        error = self.document["error"]
        assert isinstance(error, dict)
        assert set(error) == {"code", "message", "findings"}
        return error


@dataclass(slots=True)
class Program:
    """`pregen` in this process."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: object) -> Outcome:
        self.capture.readouterr()
        code = main([str(word) for word in words])
        return Outcome(code, *self.capture.readouterr())


@dataclass(slots=True)
class Ca:
    """A CA whose every part is right until a test changes it."""

    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    issuer: Party = field(init=False)
    responder: Party = field(init=False)
    profile: str = "strict"

    def __post_init__(self) -> None:
        self.issuer = make_issuer(not_before=self.now - 365 * DAY, not_after=self.now + 3_650 * DAY)
        self.responder = make_responder(self.issuer, not_before=self.now - DAY, not_after=self.now + 60 * DAY)
        self.issuer.write(self.folder, "issuer")
        self.responder.write(self.folder, "ocsp")
        self.spool.mkdir(exist_ok=True)
        self.configure()
        self.export()

    @property
    def config(self) -> Path:
        return self.folder / "pregen.toml"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshot.parquet"

    @property
    def pem(self) -> Path:
        return self.folder / "issuer.pem"

    def copied_to(self, folder: Path) -> "Ca":
        """Return the same CA in another folder, with all that is in this one."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        moved = copy.copy(self)
        moved.folder = folder
        return moved

    def configure(
        self, *more_issuers: Mapping[str, Value], name: str = "pregen.toml", **changes: Mapping[str, Value]
    ) -> Path:
        """Write a configuration: fields of each section win over those of the usual one."""
        sections: dict[str, Mapping[str, Value]] = {
            "snapshot": {"path": "snapshot.parquet"},
            "issuer": {
                "name": "r1",
                "certificate": "issuer.pem",
                "responder_certificate": "ocsp.pem",
                "key": "ocsp.key",
            },
            "validity": {"profile": self.profile, "lifetime": "4d"},
            "gates": {},
            "run": {"workers": 1, "engine": "software", "spool": "spool"},
            "publish": {"store": "store"},
            "refresh": {},
            **({"cluster": {}} if "cluster" in changes else {}),  # version 0.1 knows no such section
        }
        text = ""
        for section, usual in sections.items():
            tables = [{**usual, **changes.get(section, {})}, *(more_issuers if section == "issuer" else ())]
            heading = "[[issuer]]" if section == "issuer" else f"[{section}]"
            for table in tables:
                text += "\n".join([heading, *(f"{key} = {_toml(value)}" for key, value in table.items()), "", ""])
        path = self.folder / name
        path.write_text(text)
        return path

    def export(
        self, *, as_of: datetime | None = None, to: str = "snapshot.parquet", **changes: "Column | None"
    ) -> Path:
        """Write a snapshot of the usual three certificates; `changes` replace columns, None takes one away."""
        as_of = as_of or self.now
        columns: dict[str, Column | None] = {
            "serial": octets(*SERIALS),
            "status": pa.array([0, 1, 2], pa.uint8()),
            "revoked_at": instants(None, as_of - timedelta(hours=1), None),
            "reason": pa.array([None, 1, None], pa.int8()),
            **changes,
        }
        table = pa.table({name: column for name, column in columns.items() if column is not None})
        path = self.folder / to
        pq.write_table(table.replace_schema_metadata({"pregen.as_of": as_of.isoformat()}), path)
        return path

    def export_many(self, rows: int) -> Path:
        """Write a snapshot of so many good certificates."""
        return self.export(
            serial=pa.array([(1 << 40 | number).to_bytes(6, "big") for number in range(rows)], pa.binary()),
            status=None,
            revoked_at=pa.nulls(rows, pa.timestamp("ms", "UTC")),
            reason=None,
        )

    def stored(self) -> dict[str, bytes]:
        """Return all that is in the store's folder, hidden files too."""
        files = (path for path in self.store.rglob("*") if path.is_file())
        return {str(path.relative_to(self.store)): path.read_bytes() for path in files}

    def published(self) -> dict[str, bytes]:
        """Return the commits of the store, and where readers begin."""
        return {name: data for name, data in self.stored().items() if name.startswith(("commits/", "LATEST"))}

    def assert_spool_is_clean(self) -> None:
        """No spill files are left; from the journal of a run that was stopped, the next one may go on."""
        assert [path.name for path in self.spool.iterdir() if not path.name.startswith("pregen-journal-")] == []

    def assert_clean(self) -> None:
        """Nothing that a run needs on its way is left behind."""
        self.assert_spool_is_clean()
        assert not [name for name in self.stored() if name.rpartition("/")[2].startswith(".")]


def octets(*serials: int) -> Column:
    """Return serial numbers as content octets of DER INTEGERs."""
    sizes = ((number if number >= 0 else ~number).bit_length() // 8 + 1 for number in serials)
    return pa.array([n.to_bytes(size, "big", signed=True) for n, size in zip(serials, sizes, strict=True)], pa.binary())


def instants(*times: datetime | None) -> Column:
    """Return times as Parquet has them."""
    return pa.array(times, pa.timestamp("ms", "UTC"))


def _toml(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)  # texts, numbers and truth values are written alike in JSON
