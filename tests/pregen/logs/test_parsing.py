import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.logs.log_files import LineBlock, LogFile
from pregen.logs.parsing import REQUEST_FIELDS, Parsed, parse
from tests.pregen.logs.written import Writer, a_day, at, text, write


def parsed(lines: list[str], end: str = "\n") -> Parsed:
    return parse(LineBlock(end.join([*lines, ""]).encode("utf-8", "surrogateescape"), 1), 20)


def test_each_request_is_a_row_with_what_its_line_says() -> None:
    (line,) = Writer().asks(1.5, "-1f", remote="2001:db8::1", microseconds=75).lines

    table = parsed([line]).requests

    assert table.schema == REQUEST_FIELDS
    fields = json.loads(line)
    (row,) = table.to_pylist()
    assert text(row.pop("time")) == fields.pop("time")
    assert row.pop("weight") == 1
    assert {name: value for name, value in row.items() if value is not None} == fields


BROKEN = [
    '{"time": "2026-12-01T00:00:0',
    "}",
    "garbage",
    "null",
    "[1]",
    " ",
    "\udcff\udcfe",
    '{"remote": "\udcff"}',
    '{"time": "2026-12-01T00:00:00.000Z"}',
    '{"time": "2026-12-01T00:00:00.000", "method": "GET", "outcome": "answered"}',
    '{"time": "soon", "method": "GET", "outcome": "answered"}',
    '{"time": 5, "method": "GET", "outcome": "answered"}',
    '{"time": "1969-12-01T00:00:00.000Z", "method": "GET", "outcome": "answered"}',
    '{"time": "2026-12-01T00:00:00.000Z", "method": "GET", "outcome": "answered", "http": "200"}',
    '{"time": "2026-12-01T00:00:00.000Z", "method": "GET", "outcome": "answered", "outcome": "expired"}',
    '{"time": "2026-12-01T00:00:00Z", "worker": "a", "began": "2026-12-01T00:00:00Z", "counters": {"lines": 1}}',
    '{"request": "GET /", "status": "200"}',
    '{"a": ' + "[" * 5_000 + "}",
    '{"a": 1}{"b": 2}',
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_line_that_no_edge_writes_is_counted_and_shown_and_costs_itself_alone(broken: str) -> None:
    good = a_day().lines

    found = parsed([*good[:300], broken, *good[300:]])

    assert found.broken.tolist() == [301]
    assert [(one.number, one.text) for one in found.examples] == [
        (301, broken[:120].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    ]
    assert found.requests == parsed(good).requests
    assert found.stretches == parsed(good).stretches


def test_two_objects_on_a_line_and_one_over_two_lines_are_no_lines_of_the_log() -> None:
    one, other = Writer().asks(1).asks(2).lines
    half = len(one) // 2

    assert parsed([one + other, one[:half], one[half:], other]).broken.tolist() == [1, 2, 3]


def test_what_the_edge_says_of_itself_is_neither_a_request_nor_broken() -> None:
    said = {"time": text(at(0))}
    lines = [
        json.dumps(said | {"lost_lines": 12, "alarm": True}),
        json.dumps(said | {"level": "info", "message": "commit 7 is served"}),
        "",
    ]

    found = parsed(lines)

    assert (found.requests.num_rows, found.lost_lines, found.broken.tolist()) == (0, 12, [])


def test_fields_that_later_edges_add_are_no_matter_and_line_ends_may_be_those_of_windows() -> None:
    lines = [json.dumps(json.loads(line) | {"new": {"a": [1, {}]}}) for line in a_day().lines]

    found = parsed(lines, "\r\n")

    assert found.requests == parsed(a_day().lines).requests
    assert not len(found.broken)


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(st.sampled_from([*Writer().asks(1).asks(2, None).counts(3).lines, *BROKEN, ""]), max_size=40),
    cuts=st.integers(1, 600),
)
def test_whatever_the_blocks_the_same_rows_counts_and_broken_lines_come_of_it(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    longest = max((len(line) for line in lines), default=0) + 2

    found = [parse(block, 20) for block in LogFile(path).blocks(longest + cuts)]

    whole = parsed(lines) if lines else parsed([""])
    assert [number for one in found for number in one.broken.tolist()] == whole.broken.tolist()
    assert pa.concat_tables([REQUEST_FIELDS.empty_table(), *(one.requests for one in found)]) == whole.requests


def test_a_line_without_an_end_and_one_without_a_bound_are_broken_and_the_rest_is_read(tmp_path: Path) -> None:
    good = Writer().asks(1).asks(2).lines
    path = write(tmp_path / "log", [good[0], "x" * 10_000, good[1]])
    path.write_bytes(path.read_bytes() + b'{"time": "20')

    file = LogFile(path)
    found = [parse(block, 20) for block in file.blocks(1_000)]

    assert [number for one in found for number in one.broken.tolist()] == [2, 4]
    assert sum(one.requests.num_rows for one in found) == 2
    assert file.lines == 4


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_packed_files_are_known_by_what_is_in_them_also_where_they_are_put_together(tmp_path: Path, kind: str) -> None:
    plain = write(tmp_path / "log", a_day().lines)
    packed = tmp_path / "log.1"
    pack = gzip.compress if kind == "gzip" else lambda octets: pa.compress(octets, codec="zstd", asbytes=True)
    octets = plain.read_bytes()
    packed.write_bytes(pack(octets[:5_000]) + pack(octets[5_000:]))

    file = LogFile(packed)

    assert b"".join(block.octets for block in file.blocks()) == octets
    assert file.broken_off is None


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_packed_file_that_is_broken_off_says_so_and_gives_what_is_before(tmp_path: Path, kind: str) -> None:
    random.seed(1)
    lines = [line for n in range(3_000) for line in Writer().asks(n, f"{random.getrandbits(120):x}").lines]
    octets = "".join(f"{line}\n" for line in lines).encode()
    whole = gzip.compress(octets) if kind == "gzip" else pa.compress(octets, codec="zstd", asbytes=True)
    path = tmp_path / "log.gz"
    path.write_bytes(whole[: len(whole) // 2])

    file = LogFile(path)
    found = b"".join(block.octets for block in file.blocks())

    assert file.broken_off is not None
    assert len(found) > len(octets) // 10
    assert octets.startswith(found[:-1])


@pytest.mark.parametrize("is_packed", [False, True])
def test_how_far_a_file_is_read_is_known_while_it_is_read(tmp_path: Path, *, is_packed: bool) -> None:
    draw = random.Random(0)
    octets = b"".join(draw.randbytes(50).hex().encode() + b"\n" for _ in range(10_000))
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(octets) if is_packed else octets)
    file = LogFile(path)

    taken = [file.taken_bytes for _ in file.blocks(50_000)]

    assert taken == sorted(taken)
    assert 0 < taken[0] < taken[-1] == file.taken_bytes == path.stat().st_size
