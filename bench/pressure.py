"""Pressure on a server from the other core: wrk as fast as it goes, h2load at a held rate; and what the server spends.

CPU seconds are those of the server's whole tree of processes, from /proc: a server that waits for a client, or shares
its core with one, spends nothing meanwhile.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.figure import BenchError

SCRIPT = Path(__file__).parent / "pressure.lua"
CLIENTS = 16
_HELD = 0.7  # of a rate; h2load takes a part of its time to begin
_TICKS_S = os.sysconf("SC_CLK_TCK")
_SAID = re.compile(r"^PRESSURE (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)
_NEEDED = {"wrk": "wrk", "h2load": "nghttp2-client"}


class Pressed(NamedTuple):
    """What a server did under pressure.

    Attributes:
        requests: that were answered.
        wall_s: how long it took.
        cpu_s: of the server.
    """

    requests: int
    wall_s: float
    cpu_s: float

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a request."""
        return self.cpu_s / self.requests * 1e6


def missing_pressure() -> str | None:
    """Return what is missing to press, and how to get it; None where all is there."""
    absent = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if not absent:
        return None
    return f"there is no {' and no '.join(absent)}: make judges, or apt-get install {' '.join(absent)}"


def write_requests(file: Path, requests: Iterable[bytes]) -> Path:
    """Write whole HTTP requests as `pressure.lua` reads them."""
    with file.open("wb") as out:
        for one in requests:
            out.write(len(one).to_bytes(4, "big") + one)
    return file


def press(pid: int, port: int, requests: Path, seconds: float, connections: int = CLIENTS) -> Pressed:
    """Send requests to the server of a process as fast as it answers.

    Raises:
        BenchError: something was not answered, or not by a 200.
    """
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "-s", str(SCRIPT)]
    before = cpu_s(pid)
    out = _output([*command, f"http://127.0.0.1:{port}/", "--", str(requests)])
    spent = cpu_s(pid) - before
    said = _SAID.search(out)
    if said is None:
        raise BenchError(f"wrk says something else than it is asked for: {out.strip()}")
    answered, microseconds, refused, broken = map(int, said.groups())
    if refused or broken or not answered:
        raise BenchError(f"of {answered:,} requests, {refused:,} were refused, and {broken:,} broke")
    return Pressed(answered, microseconds / 1e6, spent)


def latencies_us(port: int, paths: Sequence[str], rate: float, seconds: float) -> list[int]:
    """Return the microseconds that each request took where they come at a rate, sorted.

    Raises:
        BenchError: the rate was not held, or something was not answered.
    """
    with tempfile.TemporaryDirectory(prefix="pressure-") as folder:
        addresses, log = Path(folder) / "addresses", Path(folder) / "log"
        addresses.write_text("".join(f"http://127.0.0.1:{port}{path}\n" for path in paths))
        clients = ["-t", "1", "-c", str(CLIENTS), "--rps", str(max(1, round(rate / CLIENTS)))]
        command = ["h2load", "--h1", *clients, "-D", str(max(1, round(seconds))), "-i", str(addresses)]
        _output([*command, "--log-file", str(log)])
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    if any(status != "200" for _, status, _ in rows):
        raise BenchError("h2load got something else than a 200")
    if len(rows) < _HELD * rate * seconds:
        raise BenchError(f"{len(rows):,} requests in {seconds:g} s are less than {rate:,.0f} a second")
    return sorted(int(microseconds) for *_, microseconds in rows)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process and all of its children have spent."""
    return sum(_ticks(one) for one in tree(pid)) / _TICKS_S


def tree(pid: int) -> list[int]:
    """Return a process and all that it has started, with what these have started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:  # grows while it is read
        found += children.get(one, [])
    return found


def memory_bytes(pid: int) -> int:
    """Return the memory that a process holds now, of its own or shared."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", text, re.MULTILINE)[1]) << 10  # type: ignore[index] # each has it


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _stat(pid: int) -> list[str]:
    """Return the fields of a process's state behind its name, which may have blanks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return []


def _output(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our words
    if ended.returncode:
        raise BenchError(f"{command[0]} ended with exit code {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout
