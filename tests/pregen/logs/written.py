"""Request logs as edges write them, for tests: lines of requests, and of counters."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 12, 1, tzinfo=UTC)
NAME, KEY = (hashlib.sha1(octets).hexdigest() for octets in (b"a name", b"a key"))
ISSUER = f"{NAME}:{KEY}"


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Writer:
    """One worker of an edge: what it writes, in order."""

    worker: str = "0a1b2c3d"
    host: str | None = "edge-1"
    began: float = 0
    sample: int = 1
    lines: list[str] = field(default_factory=list)
    requests: int = 0
    lost: int = 0
    sampled_out: int = 0
    under_way: int = 0

    def asks(self, seconds: float, serial: str | None = "ab", **others: object) -> "Writer":
        """Note a request; of one without a serial, that it was malformed."""
        self.requests += 1
        fields: dict[str, object] = {"time": text(at(seconds)), "remote": "192.0.2.1", "method": "GET", "http": 200}
        if serial is None:
            fields |= {"ocsp": "malformedRequest", "outcome": "malformed"}
        else:
            fields |= {"ocsp": "successful", "outcome": "answered", "status": "good", "hash": "sha1"}
            fields |= {"issuer_name_hash": NAME, "issuer_key_hash": KEY, "serial": serial, "generation": 7}
        fields |= {"bytes": 317, "microseconds": 60, "worker": self.worker}
        return self.says(fields | others)

    def counts(self, seconds: float, *, is_end: bool = False) -> "Writer":
        """Write the counters."""
        counts = {"requests": self.requests, "lines": len(self.lines), "lost": self.lost}
        counts |= {"sampled_out": self.sampled_out, "under_way": self.under_way}
        fields: dict[str, object] = {"time": text(at(seconds)), "worker": self.worker}
        fields |= {} if self.host is None else {"host": self.host}
        fields |= {"counters": counts, "sample": self.sample, "began": text(at(self.began))}
        return self.says(fields | ({"ended": True} if is_end else {}))

    def says(self, fields: dict[str, object]) -> "Writer":
        self.lines.append(json.dumps(fields))
        return self


def a_day(serial: str = "ab", *, until: int = 600) -> Writer:
    """Return a worker that was asked for a certificate once, and for others all the time, from its start to its end."""
    worker = Writer().counts(0)
    for second in range(until):
        worker.asks(second + 0.25, f"{second:x}1")
        if second == 100:
            worker.asks(second + 0.5, serial)
        if second % 60 == 59:
            worker.counts(second + 1)
    return worker.counts(until, is_end=True)


def write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
