"""`pregen import` at the command line: what its help and its errors say."""

import pytest

from tests.pregen.cli.ca import Ca, Program


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
