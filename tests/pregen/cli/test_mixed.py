"""A snapshot of several issuers, or files, of which one writes a column otherwise than the others: it does not hide."""

import random
from collections.abc import Callable

import pyarrow as pa
import pytest

from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Column, Program, instants
from tests.pregen.cli.two import codes, second_issuer

_DRAW = random.Random(11)
MANY = [_DRAW.getrandbits(127) | 1 << 120 for _ in range(3_000)]
FEW = [_DRAW.getrandbits(63) | 1 << 58 for _ in range(200)]
TOP = [_DRAW.getrandbits(63) | 1 << 63 for _ in range(200)]


def _signed(number: int) -> str:
    return f"{number - (1 << 64):d}" if number >> 63 else f"{number:d}"


def write(ca: Ca, name: str, serial: Column, issuer: list[str]) -> None:
    """Write a file of good rows."""
    count = len(serial)
    ca.export(
        to=name,
        serial=serial,
        issuer=pa.array(issuer),
        status=pa.array([0] * count, pa.uint8()),
        revoked_at=None,
        reason=None,
        not_after=instants(*[ca.now + 30 * DAY] * count),
    )


CASES: list[tuple[str, str, Callable[[int], str], list[int], Callable[[int], str]]] = [
    ("serial.negative", "decimal", "{:d}".format, TOP[:100] + FEW[:100], _signed),
    ("serial.encoding", "hex", "{:x}".format, FEW, "{:d}".format),
    ("serial.encoding", "hex", "{:x}".format, FEW, lambda one: one.to_bytes(8, "little").hex()),
    ("serial.rounded", "decimal", "{:d}".format, FEW, lambda one: f"{one // 10_000 * 10_000:d}"),
]


@pytest.mark.parametrize(("code", "encoding", "right", "few", "wrong"), CASES)
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_small_issuer_that_writes_serials_otherwise_is_named(
    ca: Ca,
    pregen: Program,
    code: str,
    encoding: str,
    right: Callable[[int], str],
    few: list[int],
    wrong: Callable[[int], str],
    *,
    shuffled: bool,
) -> None:
    second_issuer(ca, columns={"serial": {"name": "serial", "encoding": encoding}})
    rows = [(right(one), "r1") for one in MANY] + [(wrong(one), "r2") for one in few]
    if shuffled:
        random.Random(1).shuffle(rows)
    write(ca, "snapshot.parquet", pa.array([one for one, _ in rows]), [issuer for _, issuer in rows])

    ended = pregen("check", ca.config, "--json")

    assert codes(ended) == [code]
    message = str(ended.error["findings"])
    assert "rows of issuer" in message
    assert "r2" in message
    write(ca, "snapshot.parquet", pa.array([right(one) for one in MANY + few]), ["r1"] * len(MANY) + ["r2"] * len(few))
    assert pregen("check", ca.config).code == 0


@pytest.mark.parametrize(("code", "encoding", "right", "few", "wrong"), CASES)
def test_one_file_of_several_that_writes_serials_otherwise_is_named(
    ca: Ca,
    pregen: Program,
    code: str,
    encoding: str,
    right: Callable[[int], str],
    few: list[int],
    wrong: Callable[[int], str],
) -> None:
    ca.configure(snapshot={"path": "day", "columns": {"serial": {"name": "serial", "encoding": encoding}}})
    (ca.folder / "day").mkdir()
    for name, serials, form in (("a", MANY[:1_500], right), ("b", few, wrong), ("c", MANY[1_500:], right)):
        write(ca, f"day/{name}.parquet", pa.array([form(one) for one in serials]), ["r1"] * len(serials))

    ended = pregen("check", ca.config, "--json")

    assert codes(ended) == [code]
    message = str(ended.error["findings"])
    assert "b.parquet" in message or code == "serial.encoding"
