"""Sources of an issuer that has issued nothing yet, beside those of others."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pki import DAY, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Program

SECOND = {"name": "r2", "certificate": "other.pem", "responder_certificate": "ocsp2.pem", "key": "ocsp2.key"}


@pytest.fixture
def two(ca: Ca) -> Ca:
    """A CA with a second issuer, and a database of openssl ca each."""
    other = make_issuer("Another CA", not_before=ca.now - DAY, not_after=ca.now + 365 * DAY)
    other.write(ca.folder, "other")
    make_responder(other, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY).write(ca.folder, "ocsp2")
    ca.configure(SECOND, snapshot={"kind": "index-txt", "path": "index", "partitioning": "hive"})
    for name in ("r1", "r2"):
        (ca.folder / "index" / f"issuer={name}").mkdir(parents=True)
        (ca.folder / "index" / f"issuer={name}" / "index.txt").touch()
    return ca


def line(ca: Ca, serial: str) -> str:
    return f"V\t{ca.now + timedelta(days=90):%y%m%d%H%M%SZ}\t\t{serial}\tunknown\t/CN=x\n"


def test_the_empty_database_of_a_new_issuer_is_a_warning_beside_one_with_lines(two: Ca, pregen: Program) -> None:
    (two.folder / "index" / "issuer=r1" / "index.txt").write_text(line(two, "05"))

    ended = pregen("run", two.config, "--as-of", two.now.isoformat(), "--json")

    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 1
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
