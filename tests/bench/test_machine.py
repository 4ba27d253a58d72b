import platform
import subprocess
from pathlib import Path

import pytest

from bench.machine import CPU_FLAGS, cpu_fields, revision_of, this_machine


def test_the_first_cpu_is_described() -> None:
    text = (
        "processor\t: 0\nmodel name\t: Some CPU @ 2.0: GHz\nflags\t\t: fpu adx\n\nprocessor\t: 1\nmodel name\t: Other\n"
    )
    assert cpu_fields(text) == {"processor": "0", "model name": "Some CPU @ 2.0: GHz", "flags": "fpu adx"}


def test_a_machine_without_that_file_is_described_too() -> None:
    assert cpu_fields("") == {}


def test_this_machine_has_a_name_and_versions_of_all_that_signs() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cpus >= 1
    assert set(machine.flags) <= set(CPU_FLAGS)
    assert machine.versions["python"] == platform.python_version()
    assert str(machine.versions["openssl"]).startswith("OpenSSL ")
    assert machine.versions.keys() >= {"cryptography", "awscrt", "ipp-crypto", "pyarrow"}
    assert machine.versions["cryptography"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit, and a file in it that git does not know."""
    folder = tmp_path / "checkout"
    (folder / "inside").mkdir(parents=True)
    (folder / "known").write_text("1")
    (folder / "inside" / "known").write_text("1")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(
        folder,
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "commit",
        "--quiet",
        "-m",
        "m",
    )
    (folder / "unknown").write_text("1")
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.run(("git", "-C", folder, *words), check=True, capture_output=True, text=True).stdout


def test_the_commit_of_a_checkout_is_named(checkout: Path) -> None:
    assert revision_of(checkout) == git(checkout, "rev-parse", "HEAD").strip()


def test_a_changed_file_makes_it_dirty(checkout: Path) -> None:
    (checkout / "known").write_text("2")
    assert revision_of(checkout) == f"{git(checkout, 'rev-parse', 'HEAD').strip()}-dirty"


def test_a_folder_within_the_checkout_of_something_else_has_no_revision(checkout: Path) -> None:
    assert revision_of(checkout / "inside") is None


def test_outside_of_a_checkout_there_is_none(tmp_path: Path) -> None:
    assert revision_of(tmp_path) is None


def test_without_git_there_is_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert revision_of(checkout) is None
