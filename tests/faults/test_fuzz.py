"""Whatever a snapshot holds, `pregen check` ends as it should: exit code 0, 2 or 3, a message, no traceback.

The examples are the same in every run; those marked slow are others, and more.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from pregen.__main__ import main
from tests.faults.damages.crls import made, revoked
from tests.faults.damages.kinds import rfc3339
from tests.faults.damages.texts import csv, index_txt
from tests.faults.hostile import (
    NOW,
    Case,
    Edit,
    Format,
    edits,
    fitting_cases,
    formats,
    instants,
    lines,
    snapshot_sections,
    texts,
    wild_cases,
    words,
    written,
)
from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Outcome, Value
from tests.pregen.cli.ca import instants as times
from tests.pregen.snapshot.crls.authority import pem

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def fuzz(count: int) -> settings:
    """Return how many examples there are; always the same ones."""
    return settings(max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=CHECKS)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    """A CA that has published a generation, so that every gate has something to compare with."""
    ca = Ca(tmp_path_factory.mktemp("fuzz"))
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["run", str(ca.config)]) == 0
    return ca


def check(ca: Ca, *more: str) -> Outcome:
    """Call `pregen check`, and see that it ends as it should."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["check", str(ca.config), "--json", *more])
    ended = Outcome(code, out.getvalue(), err.getvalue())
    assert ended.code in {0, 2, 3}, ended.err
    assert "Traceback" not in ended.err
    if ended.code:
        assert ended.error["message"]
        assert ended.err.startswith(f"error: {str(ended.error['message']).splitlines()[0][:20]}")
    else:
        assert "gates" in ended.document
    assert list(ca.spool.iterdir()) == []
    return ended


def check_file(ca: Ca, name: str, octets: bytes, section: Mapping[str, Value], more: Sequence[str] = ()) -> Outcome:
    before = ca.stored()
    (ca.folder / name).write_bytes(octets)
    ca.configure(snapshot={"path": name, **section})
    ended = check(ca, *more)
    assert ca.stored() == before
    return ended


def check_table(ca: Ca, case: Case, form: Format, more: Sequence[str]) -> Outcome:
    table = case.table
    if (table.schema.metadata or {}).get(b"pregen.as_of") == NOW.encode():
        table = table.replace_schema_metadata({"pregen.as_of": rfc3339(ca.now)})
    try:
        octets = written(table, form)
    except (pa.ArrowException, NotImplementedError, OverflowError, OSError):  # the format has no such type
        reject()
    return check_file(ca, form.name, octets, case.section, more)


wild = given(case=wild_cases(), form=formats, more=words)
fitting = given(case=fitting_cases(), form=formats, more=st.just([]) | words)


@wild
@fuzz(20)
def test_no_table_ends_in_a_traceback(ca: Ca, case: Case, form: Format, more: list[str]) -> None:
    check_table(ca, case, form, more)


@fitting
@fuzz(30)
def test_no_row_ends_in_a_traceback(ca: Ca, case: Case, form: Format, more: list[str]) -> None:
    check_table(ca, case, form, more)


@pytest.mark.slow
@wild
@fuzz(3_000)
def test_no_table_of_many_ends_in_a_traceback(ca: Ca, case: Case, form: Format, more: list[str]) -> None:
    check_table(ca, case, form, more)


@pytest.mark.slow
@fitting
@fuzz(5_000)
def test_no_row_of_many_ends_in_a_traceback(ca: Ca, case: Case, form: Format, more: list[str]) -> None:
    check_table(ca, case, form, more)


text_examples = given(octets=texts(), section=snapshot_sections(), as_of=instants, more=words)


def check_text(ca: Ca, octets: bytes, section: dict[str, Value], as_of: str | None, more: list[str]) -> None:
    encoding = {"columns": {"serial": {"encoding": "hex"}}}
    as_of = rfc3339(ca.now) if as_of == NOW else as_of
    instant = ("--as-of", as_of) if as_of and "--as-of" not in more else ()
    check_file(ca, "day.csv", octets, section if section["columns"] else encoding, [*more, *instant])


@text_examples
@fuzz(40)
def test_no_csv_file_ends_in_a_traceback(
    ca: Ca, octets: bytes, section: dict[str, Value], as_of: str | None, more: list[str]
) -> None:
    check_text(ca, octets, section, as_of, more)


@pytest.mark.slow
@text_examples
@fuzz(2_000)
def test_no_csv_file_of_many_ends_in_a_traceback(
    ca: Ca, octets: bytes, section: dict[str, Value], as_of: str | None, more: list[str]
) -> None:
    check_text(ca, octets, section, as_of, more)


@given(octets=lines)
@fuzz(25)
def test_no_index_txt_ends_in_a_traceback(ca: Ca, octets: bytes) -> None:
    check_file(ca, "index.txt", octets, {"kind": "index-txt", "as_of": ca.now})


@pytest.mark.slow
@given(octets=lines)
@fuzz(2_000)
def test_no_index_txt_of_many_ends_in_a_traceback(ca: Ca, octets: bytes) -> None:
    check_file(ca, "index.txt", octets, {"kind": "index-txt", "as_of": ca.now})


def sound(ca: Ca, name: str) -> tuple[bytes, dict[str, Value]]:
    """Return a sound file of each kind, and the section that reads it."""
    if name == "day.csv":
        csv(bytes)(ca)
        return (ca.folder / name).read_bytes(), {"as_of": ca.now, "columns": {"serial": {"encoding": "hex"}}}
    if name == "index.txt":
        index_txt(bytes)(ca)
        return (ca.folder / name).read_bytes(), {"as_of": ca.now, "kind": "index-txt"}
    if name.endswith(".crl"):
        ca.export(status=None, revoked_at=None, reason=None)
        octets = made(ca, revoked(ca, reason=1), encoded_default=name == "loose.crl")
        return pem(octets) if name == "pem.crl" else octets, {"kind": "crl", "crls": [name], "path": "snapshot.parquet"}
    ca.export(issuer=pa.array(["r1"] * 3), not_after=times(*[ca.now + 30 * DAY] * 3))
    form = Format(name, 2, "zstd" if name.startswith("packed") else None, dictionaries=False)
    return written(pq.read_table(ca.snapshot), form), {}


KINDS = (
    "day.parquet",
    "packed.parquet",
    "day.arrow",
    "packed.arrow",
    "day.ipc",
    "day.csv",
    "index.txt",
    "day.crl",
    "loose.crl",
    "pem.crl",
)


def check_edits(ca: Ca, name: str, changes: list[Edit]) -> None:
    octets, section = sound(ca, name)
    for change in changes:
        octets = change.of(octets)
    check_file(ca, name, octets, section)


@pytest.mark.parametrize("name", KINDS)
def test_the_files_that_are_damaged_here_are_sound(ca: Ca, name: str) -> None:
    octets, section = sound(ca, name)

    ended = check_file(ca, name, octets, section)

    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 3


@pytest.mark.parametrize("name", KINDS)
@given(changes=edits)
@fuzz(20)
def test_no_damaged_octet_ends_in_a_traceback(ca: Ca, name: str, changes: list[Edit]) -> None:
    check_edits(ca, name, changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@given(changes=edits)
@fuzz(800)
def test_no_damaged_octet_of_many_ends_in_a_traceback(ca: Ca, name: str, changes: list[Edit]) -> None:
    check_edits(ca, name, changes)
