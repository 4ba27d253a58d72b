"""`pregen import` at the command line: what its help and its errors say."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pki import make_issuer
from tests.pregen.cli.ca import Ca, Program, instants, octets


@pytest.mark.parametrize(("kind", "speaks_of_a_header"), [("index-txt", False), ("files", True)])
def test_an_empty_file_is_called_empty_and_only_a_table_lacks_a_header(
    ca: Ca, pregen: Program, kind: str, speaks_of_a_header: bool
) -> None:
    (ca.folder / "index.txt").touch()
    ca.configure(snapshot={"kind": kind, "path": "index.txt"})

    ended = pregen("import", ca.config, "--out", ca.folder / "out", "--as-of", ca.now.isoformat())

    assert ended.code == 3
    assert "file.empty" in ended.err
    assert "index.txt: it is empty" in ended.err
    assert ("header" in ended.err) == speaks_of_a_header


def test_a_folder_that_cannot_be_made_is_named_as_the_user_gave_it(ca: Ca, pregen: Program) -> None:
    ended = pregen("import", ca.config, "--out", "/proc/x", "--json")

    assert (ended.code, ended.error["code"]) == (2, "usage")
    assert ended.err.startswith("error: --out /proc/x: cannot be made (")
    assert "/.x." not in ended.err


def test_the_help_says_that_crls_and_partitioned_folders_can_be_imported(pregen: Program) -> None:
    text = " ".join(pregen("import", "--help").out.split())

    assert 'kind "crl"' in text
    assert "partitioned folders" in text


def test_an_import_counts_what_it_wrote_by_issuer(ca: Ca, pregen: Program) -> None:
    other = make_issuer("Other")
    other.write(ca.folder, "other")
    values = {"good": ["20"], "revoked": ["40"], "excluded": ["60"]}
    second = {"name": "r2", "certificate": "other.pem", "key": "other.key"}
    ca.configure(second, snapshot={"columns": {"status": {"values": values}}})
    hour = ca.now - timedelta(hours=1)
    ca.export(
        serial=octets(*range(1, 8)),
        issuer=pa.array(["r1", "r1", "r1", "r2", "r2", "r2", "r2"]),
        status=pa.array([20, 40, 60, 20, 20, 40, 40], pa.uint8()),
        revoked_at=instants(None, hour, None, None, None, hour, hour),
        reason=None,
    )

    counted = pregen("import", ca.config, "--out", ca.folder / "a", "--json").document
    told = pregen("import", ca.config, "--out", ca.folder / "b").out

    assert (counted["rows"], counted["certificates"], counted["revoked"]) == (6, 6, 3)
    assert counted["excluded_values"] == {"status": {"60": 1}}
    assert counted["by_issuer"] == {
        "r1": {"certificates": 2, "revoked": 1, "excluded": 1},
        "r2": {"certificates": 4, "revoked": 2, "excluded": 0},
    }
    assert "issuer r2: 4 certificates, 2 revoked, 0 excluded" in told
