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


def _days(ca: Ca, column: str, form: str) -> Column:
    """Return sixty times, one a day, as numbers of some unit, or as texts of a form."""
    step = DAY if column == "not_after" else -DAY
    times = [ca.now + (at + 5) * step for at in range(60)]
    if form.isdigit():
        return pa.array([int(one.timestamp()) * int(form) for one in times])
    return pa.array([one.strftime(form) for one in times])


UNITS = [
    ("not_before", "epoch-ms", "1000", "1", False),
    ("not_before", "epoch-us", "1000000", "1000", False),
    ("not_after", "utctime", "%y%m%d%H%M%SZ", "%d%m%y%H%M%SZ", False),
    ("not_before", "iso8601", "%Y-%m-%dT%H:%M:%SZ", "%Y-%d-%mT%H:%M:%SZ", True),
]


@pytest.mark.parametrize(("column", "encoding", "right", "wrong", "has_bad_rows"), UNITS)
def test_a_small_issuer_that_writes_times_otherwise_is_named(
    ca: Ca, pregen: Program, column: str, encoding: str, right: str, wrong: str, *, has_bad_rows: bool
) -> None:
    second_issuer(ca, columns={column: {"encoding": encoding}})
    right_ones, wrong_ones = _days(ca, column, right), _days(ca, column, wrong)
    serial = pa.array([(1 << 60 | at * 977).to_bytes(8, "big") for at in range(240)], pa.binary())
    issuer = pa.array(["r1"] * 180 + ["r2"] * 60)

    def export(others: Column) -> None:
        times: Column = pa.concat_arrays([right_ones, right_ones, right_ones, others])
        changes: dict[str, Column | None] = {
            "serial": serial,
            "issuer": issuer,
            "status": pa.array([0] * 240),
            "revoked_at": None,
            "reason": None,
            column: times,
        }
        ca.export(as_of=None, to="snapshot.parquet", **changes)

    export(wrong_ones)
    ended = pregen("check", ca.config, "--json")
    export(right_ones)
    honest = pregen("check", ca.config)

    assert codes(ended) == [*["row.time.malformed"] * has_bad_rows, "time.encoding"]
    assert f"rows of issuer 'r2': column '{column}'" in str(ended.error["findings"]).replace("\\", "")
    assert honest.code == 0, honest.err
