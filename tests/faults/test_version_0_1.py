"""Version 0.1: its publisher keeps out of a store whose head has what it knows nothing of, and its reader reads on."""

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.commits import CommitTerms, find_head, new_publisher, publish
from storage.manifest import read_manifest
from storage.removals import encode_removals
from storage.stores import LocalStore
from tests.pregen.cli.ca import Ca, Program
from tests.storage.golden_store import OVERLAYS, expected_answers

PROJECT = Path(__file__).parents[2]
VERSION_0_1 = "8187fd9"
"""The last commit of the project before publishers wrote overlays and removals."""

READ = """
import hashlib, json, pathlib, sys
from storage import commits
from storage.certid import CertID
from storage.reader import open_reader
from storage.stores import LocalStore

assert commits.WRITER_VERSION == 2, "this is another version"
reader = open_reader(LocalStore(pathlib.Path(sys.argv[1])))
answers = [reader.lookup(CertID(oid, *map(bytes.fromhex, rest))) for oid, *rest in json.load(sys.stdin)]
print(json.dumps([answer and hashlib.sha256(answer.der).hexdigest() for answer in answers]))
"""


@pytest.fixture(scope="module")
def version_0_1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of version 0.1, from the history of the project."""
    command = ["git", "archive", "--format=tar", VERSION_0_1, "pregen", "storage"]
    packed = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False, timeout=60)
    if packed.returncode:
        pytest.skip("this copy of the project has no history")
    folder = tmp_path_factory.mktemp("version-0.1")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as sources:
        sources.extractall(folder, filter="data")
    return folder


def run_by(version_0_1: Path, ca: Ca) -> tuple[int, dict[str, Any]]:
    """Return exit code and report of a run by version 0.1, which knows no section [refresh]."""
    ca.config.write_text(ca.config.read_text().replace("[refresh]\n", ""))
    ended = subprocess.run(
        [sys.executable, "-m", "pregen", "run", ca.config, "--json"],
        cwd=version_0_1,
        env={**os.environ, "PYTHONPATH": str(version_0_1)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return ended.returncode, json.loads(ended.stdout)


@pytest.mark.parametrize("what", ["overlays", "removals"])
def test_version_0_1_does_not_publish_over_overlays_or_removals(
    what: str, ca: Ca, pregen: Program, version_0_1: Path
) -> None:
    assert pregen("run", ca.config).code == 0
    store, head = LocalStore(ca.store), find_head(LocalStore(ca.store))
    assert head is not None
    manifest, removals = read_manifest(store, head.commit.manifest), None
    if what == "overlays":
        manifest = replace(manifest, overlays=manifest.shards[:1])
    else:
        removals, octets = encode_removals([])
        store.put(removals, octets)
    terms = CommitTerms(
        publisher=new_publisher(), as_of=head.commit.as_of, started_at=0, kind="delta", removals=removals
    )
    publish(store, head, manifest, terms)
    before = ca.stored()

    code, report = run_by(version_0_1, ca)

    assert code == 5
    assert "needs a publisher of format version 3, this one knows 2" in report["error"]["message"]
    assert ca.stored() == before


def test_version_0_1_goes_on_from_a_commit_without_either(ca: Ca, pregen: Program, version_0_1: Path) -> None:
    assert pregen("run", ca.config).code == 0

    code, report = run_by(version_0_1, ca)

    assert code == 0
    assert report["commit"] == 2


def test_the_reader_of_version_0_1_gives_every_answer_of_a_store_with_overlays(version_0_1: Path) -> None:
    expected = expected_answers(OVERLAYS)
    questions = [[oid, name.hex(), key.hex(), serial.hex()] for oid, name, key, serial in (e.cert_id for e in expected)]

    ended = subprocess.run(
        [sys.executable, "-c", READ, OVERLAYS / "store"],
        cwd=version_0_1,
        env={**os.environ, "PYTHONPATH": str(version_0_1)},
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert json.loads(ended.stdout) == [one.sha256 for one in expected]
