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


DATES = [f"2026{1 + at % 12:02}{1 + at % 28:02}{at * 7919 % 10_000_000_000:010}" for at in range(60)]


def export_numbers_of_dates(ca: Ca) -> None:
    """Hexadecimal serials that are made of dates, and so of decimal digits alone."""
    ca.configure(snapshot={"columns": {"serial": {"encoding": "hex"}}})
    nothing = instants(*[None] * len(DATES))
    ca.export(serial=pa.array(DATES), status=pa.array([0] * len(DATES)), revoked_at=nothing, reason=None)


def test_what_only_an_import_sees_is_accepted_there_kept_in_its_files_and_shown_by_runs(
    ca: Ca, pregen: Program
) -> None:
    export_numbers_of_dates(ca)
    out = ca.folder / "out"
    accept = ("--accept", "serial.encoding", "--reason", "they are dates", "--by", "A. Turing")

    refused = pregen("import", ca.config, "--out", out)
    imported = pregen("import", ca.config, "--out", out, *accept)
    ca.configure(snapshot={"path": "out"})
    ended = pregen("run", ca.config)

    assert (refused.code, imported.code, ended.code) == (3, 0, 0), imported.err
    assert "error serial.encoding" in refused.err
    assert "nothing was written" in refused.err
    assert "accepted by A. Turing: they are dates" in imported.err
    assert "import.accepted" in ended.err
    assert "imported with --accept serial.encoding, accepted by A. Turing: they are dates" in ended.err
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", DATES[7]).code == 0


@pytest.mark.parametrize("code", ["shrink", "rows-invalid", "row.serial.null", "revocation.in-crl"])
def test_an_import_accepts_nothing_that_a_run_on_it_can_judge(ca: Ca, pregen: Program, code: str) -> None:
    ended = pregen("import", ca.config, "--out", ca.folder / "out", "--accept", code, "--reason", "known")

    assert ended.code == 2
    assert f"--accept {code}: an import takes serial.negative" in ended.err
    assert not (ca.folder / "out").exists()


def test_an_acceptance_that_an_import_does_not_need_is_a_warning(ca: Ca, pregen: Program) -> None:
    out = ca.folder / "out"
    ended = pregen("import", ca.config, "--out", out, "--accept", "serial.rounded", "--reason", "known")

    assert ended.code == 0
    assert "accept.unneeded" in ended.err
