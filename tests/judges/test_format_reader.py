"""A reader in another language, written from storage/FORMAT.md alone: it gives all golden answers and all errors."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.certid import CertID
from tests.storage.golden_store import COMBINED, GOLDEN, OVERLAYS, VERSION_2, accepted_cases, expected_answers

READER = Path(__file__).parent / "format_reader.mjs"
NODE = shutil.which("node")
# No package of PyPI brings it as the other judges; test_format_spec.py has a reader in Python that judges everywhere.
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node here")
DAMAGED = [path for of in (GOLDEN, VERSION_2, OVERLAYS) for path in sorted((of / "damaged").iterdir()) if path.is_dir()]


def asked(*stores: tuple[Path, Sequence[CertID]]) -> list[list[dict[str, str] | None]]:
    """Return what the reader says of each store, and then to each question about it."""
    lines = [
        json.dumps(
            [
                str(store),
                *(
                    {"oid": oid, "name_hash": name.hex(), "key_hash": key.hex(), "serial": serial.hex()}
                    for oid, name, key, serial in questions
                ),
            ]
        )
        for store, questions in stores
    ]
    ended = subprocess.run(
        [NODE or "node", READER], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=60
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


def laid_over(store: Path, change: Path, folder: Path) -> Path:
    """Return a copy of a store with the objects of another folder over its own."""
    shutil.copytree(store, folder / "store")
    shutil.copytree(change, folder / "store", dirs_exist_ok=True)
    return folder / "store"


@pytest.mark.parametrize("folder", [GOLDEN, COMBINED, VERSION_2, OVERLAYS], ids=lambda folder: folder.name)
def test_every_golden_answer_is_given(folder: Path) -> None:
    expected = expected_answers(folder)
    [[_, *answers]] = asked((folder / "store", [one.cert_id for one in expected]))
    assert answers == [one.sha256 and {"sha256": one.sha256} for one in expected]


def test_every_damaged_store_is_refused(tmp_path: Path) -> None:
    stores = [
        (
            laid_over(folder.parents[1] / "store", folder, tmp_path / folder.parents[1].name / folder.name),
            [one.cert_id for one in expected_answers(folder.parents[1])],
        )
        for folder in DAMAGED
    ]
    for folder, (loaded, *answers) in zip(DAMAGED, asked(*stores), strict=True):
        case = json.loads((folder.parent / "index.json").read_bytes())[folder.name]
        error = {"error": case["error"].removesuffix("Error")}
        assert (loaded == error) == (case["seen"] == "load"), folder.name
        assert error in [loaded, *answers], folder.name


def test_what_is_odd_but_harmless_is_answered(tmp_path: Path) -> None:
    for name, special in accepted_cases().items():
        store = laid_over(GOLDEN / "store", GOLDEN / "accepted" / name, tmp_path / name)
        usual = [one for one in expected_answers() if one.cert_id not in {cert_id for cert_id, _, _ in special}]
        [[_, *answers]] = asked((store, [*(cert_id for cert_id, _, _ in special), *(one.cert_id for one in usual)]))
        otherwise = [
            {"error": error.removesuffix("Error")} if error else sha256 and {"sha256": sha256}
            for _, sha256, error in special
        ]
        assert answers == [*otherwise, *(one.sha256 and {"sha256": one.sha256} for one in usual)], name
