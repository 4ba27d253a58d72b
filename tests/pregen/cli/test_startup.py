"""Commands that only read a store, or nothing at all, start without the libraries that snapshots and signing need."""

import importlib
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pregen.__main__ import main
from pregen.cli.app import load
from pregen.cli.catalogue import COMMANDS
from pregen.cli.options import Parser
from tests.pregen.cli.ca import GOOD, Ca

HEAVY = {
    "asn1crypto",
    "boto3",
    "botocore",
    "cryptography",
    "cyclopts",
    "msgspec",
    "multiprocess",
    "logging",
    "numpy",
    "obstore",
    "pyarrow",
    "random",
    "rich",
    "socket",
    "tzdata",
}
NEVER = HEAVY - {"msgspec", "random", "tzdata"}  # a configuration needs those
SIGNING = {"pregen.audit", "pregen.generation", "pregen.issuers", "pregen.signers", "pregen.snapshot", "storage.edge"}
# What commands do not share: each loads its own.
APART = {
    "lookup": {"pregen.decoding", "pregen.inspection", "pregen.status"},
    "inspect": {"pregen.decoding", "pregen.lookup", "pregen.responses"},
    "status": {"pregen.decoding", "pregen.inspection", "pregen.lookup", "pregen.responses"},
    "decode": {"pregen.inspection", "pregen.lookup", "pregen.status"},
}
STORE = {"pregen.credentials", "storage.reader", "storage.stores"}
RUN = (
    "import sys\n"
    "from pregen.__main__ import main\n"
    "code = main(sys.argv[1:])\n"
    "print(*sys.modules, file=sys.stderr)\n"
    "sys.exit(code)\n"
)
LIGHT = [
    ("--help",),
    ("--version",),
    ("lookup", "--help"),
    ("lookup", "store", "--issuer", "issuer.pem", "--serial", f"{GOOD:x}"),
    ("lookup", "store", "--issuer", "issuer.pem", "--cert", "ocsp.pem"),
    ("inspect", "store", "--json"),
    ("history", "store"),
    ("status", "store"),
    ("decode", "30030a0106"),
    ("decode", "30030a0106", "--store", "store", "--issuer", "issuer.pem"),
    ("inspect", "nowhere"),
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ca = Ca(tmp_path_factory.mktemp("ca"))
    assert main(["run", str(ca.config)]) == 0
    return ca.folder


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_what_only_reads_a_store_imports_no_library_of_snapshots_or_signing(
    published: Path, words: Sequence[str]
) -> None:
    command = [sys.executable, "-c", RUN, *words]

    ended = subprocess.run(command, cwd=published, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode in (0, 4), ended.stderr
    assert "Traceback" not in ended.stderr
    imported = set(ended.stderr.split())
    assert "storage.der" in imported or "--" in words[0]
    assert "dataclasses" not in imported or "--" not in words[0]
    assert imported & (HEAVY | SIGNING | APART.get(words[0], set())) == set()
    assert words[0] != "decode" or bool(imported & STORE) == ("--store" in words)


def test_a_configuration_adds_its_own_libraries_and_no_more(published: Path) -> None:
    command = [sys.executable, "-c", RUN, "inspect", "--config", "pregen.toml"]

    ended = subprocess.run(command, cwd=published, capture_output=True, text=True, timeout=60, check=True)

    imported = set(ended.stderr.split())
    assert "pregen.config" in imported
    assert imported & (NEVER | SIGNING) == set()


@pytest.mark.slow  # each run has the names of modules above, which no busy machine changes
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_the_program_says_of_itself_costs_little_beside_the_smallest_import(tmp_path: Path, option: str) -> None:
    pairs = [
        (cpu_seconds(tmp_path, "-m", "pregen", option), cpu_seconds(tmp_path, "-c", "import cryptography"))
        for _ in range(9)
    ]

    own, library = (min(times) for times in zip(*pairs, strict=True))

    assert own < 4 * library


def cpu_seconds(folder: Path, *words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=folder, stdout=subprocess.DEVNULL, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("words", LIGHT[:-1], ids=" ".join)
def test_starting_costs_little_beside_loading_one_library(published: Path, words: Sequence[str]) -> None:
    """In turns, so that both see the same machine; the median, because others work on it too."""
    if words[-1] == "ocsp.pem":
        pytest.skip("the store does not answer for the responder itself")
    reference = ("-c", "import cryptography.x509")
    pairs = [(cpu_seconds(published, "-m", "pregen", *words), cpu_seconds(published, *reference)) for _ in range(5)]

    own, library = (statistics.median(times) for times in zip(*pairs, strict=True))

    assert own < 3 * library


def test_every_command_has_a_module_with_its_options() -> None:
    folder = Path(importlib.import_module("pregen.cli.commands").__path__[0])
    assert {entry.module for entry in COMMANDS.values()} == {
        path.stem for path in folder.glob("*.py") if path.stem != "__init__"
    }
    for name, entry in COMMANDS.items():
        parser = Parser(f"pregen {name}", entry.summary)
        load(entry).describe(parser)
        assert entry.summary.split()[0] in parser.format_help()
        assert callable(load(entry).call)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_options(name: str) -> None:
    environment = os.environ | {"COLUMNS": "200"}
    command = [sys.executable, "-m", "pregen", name, "--help"]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: pregen {name} ")
