"""What questions about request logs cost: an import, a question of it, and one of the log itself.

The log has the form in which an edge writes it, which is made by the edge's own code. A quarter of the requests are for
few certificates, the others for any of a million.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.figure import Figure, Result, Target
from bench.memory import Taken, taken_by
from bench.sizes import Sizes
from storage.certid import SHA1, CertID
from storage.edge.record import LoggedRequest, OcspStatus, Outcome, time_text
from storage.reader import Answer

IMPORT = Target(must=120.0, wish=75.0, at_most=True)  # CPU seconds of 10 million lines: 60 s on two cores
IMPORT_MIB = Target(must=600.0, wish=400.0, at_most=True)
_BEGIN = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
_CERTIFICATES, _HOT, _CLIENTS = 1_000_000, 100, 200_000
_LINES_AT_ONCE = 100_000
_WORKER, _CLIENT, _SERIAL = "0a1b2c3d", "192.0.2.77", 0x5E51A15E51A1
_HASHES = (b"\x11" * 20, b"\x22" * 20)


def measure_asking(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield what an import of a log takes, and what questions take.

    Raises:
        BenchError: a command failed.
    """
    folder = folder / "asking"
    folder.mkdir()
    log, imports = folder / "requests.jsonl", folder / "imports"
    last = make_log(log, sizes.log_lines)
    question = ("--issuer", ":".join(octets.hex() for octets in _HASHES), "--serial", last)
    taken = _taken(folder, "logs", "import", str(log), "--out", str(imports))
    group = f"request logs, {sizes.log_lines:,} lines"
    yield Figure(
        name="asking.import",
        group=group,
        title="pregen logs import",
        value=taken.cpu_s,
        unit="CPU-s",
        target=IMPORT if sizes.judged else None,
    )
    yield Figure(
        name="asking.import-memory",
        group=group,
        title="memory of that",
        value=taken.peak_bytes / 2**20,
        unit="MiB",
        target=IMPORT_MIB if sizes.judged else None,
    )
    for name, title, logs in (("import", "an import", imports), ("log", "the log itself", log)):
        asked = _taken(folder, "asked", str(logs), *question)
        yield Figure(
            name=f"asking.asked-{name}", group=group, title=f"pregen asked of {title}", value=asked.cpu_s, unit="CPU-s"
        )


def make_log(path: Path, lines: int) -> str:
    """Write a log of so many lines, all of one day; return the serial of the last one."""
    record = LoggedRequest(
        method="GET",
        outcome=Outcome.ANSWERED,
        http=200,
        ocsp=OcspStatus.successful,
        cert_id=CertID(SHA1, *_HASHES, _SERIAL.to_bytes(7, "big")),
        generation=7,
        body_bytes=317,
        answer=Answer(b"", "good", 0, 0, 0, 0, 7),
    )
    line = record.line(_BEGIN, _CLIENT, 60, _WORKER).replace("%", "%%")
    form = line.replace(time_text(_BEGIN), "%s").replace(_CLIENT, "%s").replace(f"{_SERIAL:x}", "%s") + "\n"
    draw = np.random.default_rng(1)
    serials = [octets.tobytes().hex().lstrip("0") for octets in draw.integers(0, 256, (_CERTIFICATES, 16), np.uint8)]
    clients = [".".join(map(str, octets)) for octets in draw.integers(1, 255, (_CLIENTS, 4)).tolist()]
    serial = ""
    with path.open("w", encoding="ascii") as log:
        for first in range(0, lines, _LINES_AT_ONCE):
            count = min(_LINES_AT_ONCE, lines - first)
            whose = draw.integers(0, _CERTIFICATES, count)
            hot = draw.random(count) < 1 / 4
            whose[hot] %= _HOT
            times = (_BEGIN + (first + at) * 86_400 / lines for at in range(count))
            who = draw.integers(0, _CLIENTS, count).tolist()
            asked = [serials[at] for at in whose.tolist()]
            told = zip(map(time_text, times), (clients[at] for at in who), asked, strict=True)
            log.writelines(form % fields for fields in told)
            serial = asked[-1]
    return serial


def _taken(folder: Path, *words: str) -> Taken:
    return taken_by(folder, (sys.executable, "-m", "pregen", *words, "--quiet"))
