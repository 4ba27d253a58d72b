"""Disks that are full or cannot be written: real ones, small, in memory."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pregen.cli.ca import REVOKED, Ca, Program

Mount = Callable[[Path, int], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount a tmpfs of so many KiB at a folder, for the length of the test."""
    program = shutil.which("mount")
    with ExitStack() as mounted:

        def mount_there(folder: Path, kib: int) -> None:
            folder.mkdir(exist_ok=True)
            command = [str(program), "-t", "tmpfs", "-o", f"size={kib}k", "none", str(folder)]
            if program is None or subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("only root may mount a small disk")
            mounted.callback(subprocess.run, ["umount", str(folder)], check=True)

        yield mount_there


def test_a_full_store_fails_the_run_and_leaves_the_current_generation(ca: Ca, pregen: Program, mount: Mount) -> None:
    mount(ca.store, 512)
    any_size = {"share": 1.0, "count": 1_000_000}
    ca.configure(gates={"shrink": any_size, "growth": any_size, "unrevoke": 1})
    assert pregen("run", ca.config).code == 0
    before = ca.stored()
    few = ca.snapshot.rename(ca.folder / "few.parquet")
    ca.export_many(12_000)

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (5, "storage")
    assert f"shard 0: {ca.store}/packs/" in ended.err
    assert "No space left on device: free some space, then run again" in ended.err
    assert "the current generation is what it was" in ended.err
    after = ca.stored()
    assert {name: after.get(name) for name in before} == before
    assert {name.partition("/")[0] for name in after.keys() - before.keys()} <= {"tables", "windows"}
    ca.assert_clean()
    assert pregen("verify", ca.store, "--issuer", ca.pem).code == 0
    assert pregen("run", ca.config, "--snapshot", few, "--json").document["commit"] == 2


def test_a_spool_without_the_space_that_is_needed_is_refused_before_work(ca: Ca, pregen: Program, mount: Mount) -> None:
    mount(ca.spool, 512)
    ca.export_many(12_000)

    for command in ("run", "check"):
        ended = pregen(command, ca.config, "--json")
        assert (ended.code, ended.error["code"]) == (5, "spool")
        assert f"{ca.spool}: 12,000 rows need 1 MiB for spill files" in ended.err
        assert "set [run] spool to a larger disk" in ended.err
        assert ca.stored() == {}
        ca.assert_clean()


def test_a_spool_that_runs_full_after_all_is_cleared(ca: Ca, pregen: Program, mount: Mount) -> None:
    """CSV does not say how many rows it has, so the estimate can be too low."""
    mount(ca.spool, 512)
    ca.configure(snapshot={"path": "rows.csv", "as_of": ca.now, "columns": {"serial": {"encoding": "hex"}}})
    (ca.folder / "rows.csv").write_text("serial,status\n" + "".join(f"{n:x},good\n" for n in range(1 << 12, 1 << 15)))

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (5, "spool")
    assert f"{ca.spool}/" in ended.err
    assert "No space left on device" in ended.err
    assert "set [run] spool" in ended.err
    assert not ca.store.exists()
    ca.assert_clean()


def test_a_spool_that_is_not_there_is_named(ca: Ca, pregen: Program) -> None:
    ca.configure(run={"spool": "nowhere"})

    ended = pregen("run", ca.config)

    assert ended.code == 5
    assert f"{ca.folder}/nowhere: cannot make a folder for spill files there (No such file or directory)" in ended.err


def test_a_store_mounted_for_reading_alone_is_refused(ca: Ca, pregen: Program, mount: Mount) -> None:
    mount(ca.store, 512)
    assert pregen("run", ca.config).code == 0
    before = ca.stored()
    subprocess.run(["mount", "-o", "remount,ro", str(ca.store)], check=True)

    for command in ("run", "check"):
        ended = pregen(command, ca.config, "--json")
        assert (ended.code, ended.error["code"]) == (5, "storage")
        assert "Read-only file system: mount it for writing, or choose another place" in ended.err
    assert ca.stored() == before
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{REVOKED:x}").code == 0


def test_a_file_where_the_store_should_be_is_named(ca: Ca, pregen: Program) -> None:
    ca.store.write_text("precious")

    for command in ("run", "check"):
        ended = pregen(command, ca.config)
        assert ended.code == 5
        assert str(ca.store) in ended.err
        assert "a file is where a folder belongs" in ended.err
    assert ca.store.read_text() == "precious"
    assert pregen("inspect", ca.store).code == 4
