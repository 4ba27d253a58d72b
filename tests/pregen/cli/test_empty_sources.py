"""Sources of an issuer that has issued nothing yet, beside those of others."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pregen.cli.ca import Ca, Program
from tests.pregen.cli.two import SECOND, codes, second_issuer

SNAPSHOT = {"kind": "index-txt", "path": "index", "partitioning": "hive"}


@pytest.fixture
def two(ca: Ca) -> Ca:
    """A CA with a second issuer, and a database of openssl ca each."""
    second_issuer(ca)
    ca.configure(SECOND, snapshot=SNAPSHOT)
    for name in ("r1", "r2"):
        (ca.folder / "index" / f"issuer={name}").mkdir(parents=True)
        (ca.folder / "index" / f"issuer={name}" / "index.txt").touch()
    return ca


def line(ca: Ca, serial: str) -> str:
    return f"V\t{ca.now + timedelta(days=90):%y%m%d%H%M%SZ}\t\t{serial}\tunknown\t/CN=x\n"


@pytest.mark.parametrize("octets", ["", "# nothing is issued yet\n"])
def test_the_empty_database_of_an_issuer_is_refused_unless_it_is_declared_or_accepted(
    two: Ca, pregen: Program, octets: str
) -> None:
    (two.folder / "index" / "issuer=r1" / "index.txt").write_text(line(two, "05"))
    (two.folder / "index" / "issuer=r2" / "index.txt").write_text(octets)
    at = ("--as-of", two.now.isoformat(), "--json")

    refused = pregen("run", two.config, *at)
    assert (refused.code, codes(refused)) == (3, ["issuer.empty"])
    accepted = pregen("check", two.config, *at, "--accept", "issuer.empty", "--reason", "it is new")
    assert accepted.code == 0

    two.configure({**SECOND, "empty": True}, snapshot=SNAPSHOT)
    ended = pregen("run", two.config, *at)
    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 1
    if not octets:
        assert "warning file.empty: " in ended.err
        assert "issuer=r2/index.txt: it is empty, as before an issuer's first certificate" in ended.err


def test_databases_that_are_all_empty_are_refused(two: Ca, pregen: Program) -> None:
    ended = pregen("run", two.config, "--as-of", two.now.isoformat())

    assert ended.code == 3
    assert ended.err.count("error file.empty: ") == 2
    assert "export it again" in ended.err


def test_an_empty_table_is_refused_beside_others(ca: Ca, pregen: Program) -> None:
    (ca.folder / "day").mkdir()
    ca.export(to="day/a.parquet")
    (ca.folder / "day" / "b.parquet").touch()

    ended = pregen("run", ca.config, "--snapshot", ca.folder / "day")

    assert ended.code == 3
    assert "error file.empty: " in ended.err


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_columns_without_a_type_are_read_in_a_file_without_a_row(ca: Ca, pregen: Program, suffix: str) -> None:
    """pandas tells the types of its columns from their values, and finds none here."""
    (ca.folder / "day").mkdir()
    ca.export(to="day/a.parquet")
    names = ("serial", "issuer", "status", "revoked_at", "reason", "kind", "needs_ocsp")
    empty = pa.table({name: pa.nulls(0) for name in names}).replace_schema_metadata(
        {"pregen.as_of": ca.now.isoformat()}
    )
    if suffix == "parquet":
        pq.write_table(empty, ca.folder / "day" / "b.parquet")
    else:
        with pa.ipc.new_file(str(ca.folder / "day" / "b.arrow"), empty.schema) as file:
            file.write_batch(pa.RecordBatch.from_pylist([], empty.schema))

    ended = pregen("run", ca.config, "--snapshot", ca.folder / "day", "--json")

    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 3


def test_columns_without_a_type_are_refused_in_a_file_with_rows(ca: Ca, pregen: Program) -> None:
    ca.export(status=pa.nulls(3))

    ended = pregen("run", ca.config)

    assert ended.code == 3
    assert "error column.type: " in ended.err
