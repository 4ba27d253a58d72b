"""Zone files and their rules, against Python's own reader of the same octets."""

import io
import os
import struct
import subprocess
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.snapshot.times.tzif import Transitions, read_tzif
from pregen.zones import zone_octets

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 of wall clocks
FIRST, LAST = -62_135_596_800 + 100_000, 253_402_300_799 - 100_000  # what datetime can say, with room for offsets


def tzif(footer: str, changes: list[tuple[int, int]] | None = None, first: int = 0) -> bytes:
    """Return a file of version 2 with changes (when, to which offset), before them the offset `first`."""
    changes = changes or []
    header = struct.pack(">4sc15x", b"TZif", b"2")
    types = [first, *(offset for _, offset in changes)]
    body = b"".join(struct.pack(">q", at) for at, _ in changes)
    body += bytes(range(1, len(types)))
    body += b"".join(struct.pack(">ibB", offset, 0, 0) for offset in types) + b"XXX\0"
    one = struct.pack(">6I", 0, 0, 0, 0, 1, 4) + struct.pack(">ibB", 0, 0, 0) + b"XXX\0"
    return (
        header
        + one
        + header
        + struct.pack(">6I", 0, 0, 0, len(changes), len(types), 4)
        + body
        + f"\n{footer}\n".encode()
    )


def offsets(octets: bytes, at: NDArray[np.int64]) -> list[int]:
    found = read_tzif(octets)
    return [int(offset) for offset in found.offset[found.at.searchsorted(at, "right")]]


def of_python(octets: bytes, at: NDArray[np.int64]) -> list[int]:
    zone = ZoneInfo.from_file(io.BytesIO(octets))
    moments = [(EPOCH + timedelta(seconds=second)).replace(tzinfo=zone) for second in at.tolist()]
    return [round((zone.fromutc(moment).utcoffset() or timedelta()).total_seconds()) for moment in moments]


@pytest.mark.parametrize(
    "footer",
    [
        "UTC0",
        "<+0545>-5:45",
        "MST7MDT,M3.2.0,M11.1.0",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",  # half an hour
        "IST-1GMT0,M10.5.0,M3.5.0/1",  # summer is the standard time
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",  # on the evening before
        "EET-2EEST,M3.4.4/50,M10.4.4/50",  # two days later
        "<-03>3<-02>,M3.5.6/22:30:15,M10.5.6/23",
        "XXX3EST4,0/0,J365/23",  # summer all year (RFC 9636, 3.3.1)
    ],
)
def test_a_rule_goes_on_as_python_says(footer: str) -> None:
    random = np.random.default_rng(1)
    ruled = tzif(footer)
    [at_last] = of_python(ruled, np.array([1_700_000_000]))
    for octets in (ruled, tzif(footer, [(1_500_000_000, -18_000), (1_700_000_000, at_last)], first=-17_762)):
        found = read_tzif(octets)
        inside = found.at[(found.at > FIRST) & (found.at < LAST)]
        near = random.choice(inside, 200) + random.integers(-1, 1, 200) if len(inside) else inside
        at = np.concatenate([random.integers(FIRST, LAST, 200), random.integers(0, 4_000_000_000, 200), near])
        assert offsets(octets, at) == of_python(octets, at)


@pytest.mark.parametrize(
    "rule", ["AAA-1BBB,J60/1:30,300/-2", "AAA5BBB,0/0,364", "AAA5BBB,J59,J305", "XXX3EST4,0/0,J365/23"]
)
def test_days_by_number_are_as_the_c_library_counts_them(rule: str) -> None:
    # zoneinfo of Python 3.11 counts days without J from one, where POSIX counts from zero
    at = np.random.default_rng(4).integers(0, 4_000_000_000, 400)
    edges = read_tzif(tzif(rule)).at
    edges = edges[(edges > 0) & (edges < 4_000_000_000)]
    at = np.concatenate([at, edges, edges - 1])
    program = "import sys, time; print(*(time.localtime(int(at)).tm_gmtoff for at in sys.argv[1:]))"

    said = subprocess.run(
        [sys.executable, "-c", program, *map(str, at.tolist())],
        env=os.environ | {"TZ": rule},
        capture_output=True,
        text=True,
        check=True,
    )

    assert offsets(tzif(rule), at) == list(map(int, said.stdout.split()))


def test_changes_are_ascending_and_each_changes_something() -> None:
    for name in ("America/Denver", "Africa/Casablanca", "Europe/Dublin", "Antarctica/Troll", "Asia/Gaza", "UTC"):
        found = read_tzif(zone_octets(name))
        assert (np.diff(found.at) > 0).all()
        assert (np.diff(found.offset) != 0).all()
        assert len(found.offset) == len(found.at) + 1


def test_the_rule_reaches_beyond_the_year_9999() -> None:
    found = read_tzif(zone_octets("America/Denver"))

    assert found.at[-1] > 253_402_300_799
    assert found.offset[-1] == -7 * 3_600


def test_a_change_without_effect_is_left_out() -> None:
    found = read_tzif(tzif("UTC0", [(-(2**59), 0), (100, 3_600), (200, 3_600), (300, 0)]))

    assert isinstance(found, Transitions)
    assert found.at.tolist() == [100, 300]
    assert found.offset.tolist() == [0, 3_600, 0]


@pytest.mark.parametrize("octets", [b"TZif\0" + bytes(39), b"nothing" * 10, tzif("M3.2.0"), tzif("AAA5BBB,M3,J1")])
def test_what_is_no_zone_file_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="install the tzdata package again"):
        read_tzif(octets)
