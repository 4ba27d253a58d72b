import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pregen.errors import SpoolError
from pregen.generation.comparing.counting import CountTask, ShardCounter
from pregen.generation.making.shard import ShardSigner
from pregen.generation.rows.spill import ROW_BYTES
from pregen.generation.rows.spool import SPOOL_PREFIX, spool_folder
from storage.markers import DEAD_AFTER_S
from tests.pregen.generation.workshop import Bench, make_issuers, various_rows

PROJECT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from pregen.generation.rows.spool import spool_folder
with spool_folder(Path(sys.argv[1]), 1) as spool:
    folder = spool.folder
    (folder / "0.arrow").write_bytes(b"rows")
    print(folder, flush=True)
    time.sleep(600)
"""


def holder(parent: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Start a process that holds a folder until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: "subprocess.Popen[str]", by: signal.Signals) -> None:
    process.send_signal(by)
    process.communicate(timeout=60)


def test_the_folder_is_the_users_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with spool_folder(tmp_path, 10) as spool:
        folder = spool.folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.parent == tmp_path
        (folder / "deeper").mkdir()
        (folder / "deeper" / "0.arrow").write_bytes(b"rows")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_gone_after_an_error(tmp_path: Path) -> None:
    def interrupted() -> None:
        with spool_folder(tmp_path, 10) as spool:
            (spool.folder / "0.arrow").write_bytes(b"rows")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with spool_folder(tmp_path, 10):
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process, left = holder(tmp_path)
    end(process, signal.SIGKILL)
    assert (left / "0.arrow").exists()
    with spool_folder(tmp_path, 10) as spool:
        assert list(tmp_path.iterdir()) == [spool.folder]


def test_the_folder_of_a_run_that_goes_on_stays(tmp_path: Path) -> None:
    process, theirs = holder(tmp_path)
    try:
        with spool_folder(tmp_path, 10) as spool:
            assert set(tmp_path.iterdir()) == {spool.folder, theirs}
        assert (theirs / "0.arrow").read_bytes() == b"rows"
    finally:
        end(process, signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_left_before_it_was_locked_is_removed_too(tmp_path: Path) -> None:
    with spool_folder(tmp_path, 10) as spool:
        of_this_machine, _, _ = spool.folder.name.rpartition("-")
    (tmp_path / f"{of_this_machine}-abc").mkdir()
    with spool_folder(tmp_path, 10) as spool:
        assert list(tmp_path.iterdir()) == [spool.folder]


@pytest.mark.parametrize(("silent_s", "stays"), [(60, True), (DEAD_AFTER_S - 60, True), (DEAD_AFTER_S + 60, False)])
def test_a_folder_of_another_machine_stays_until_nobody_has_renewed_it_for_hours(
    tmp_path: Path, silent_s: int, stays: bool
) -> None:
    theirs = tmp_path / f"{SPOOL_PREFIX}{'ab' * 6}-abc"  # its lock is one of that machine, and free here
    theirs.mkdir()
    (theirs / "part").write_bytes(b"rows")
    os.utime(theirs, (time.time() - silent_s,) * 2)
    with spool_folder(tmp_path, 10):
        assert theirs.exists() == stays


def test_other_files_and_folders_are_let_alone(tmp_path: Path) -> None:
    (tmp_path / "pregen.toml").write_text("")
    (tmp_path / f"{SPOOL_PREFIX}file").write_text("a file, not a folder")
    with spool_folder(tmp_path, 10):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"pregen.toml", f"{SPOOL_PREFIX}file"}


def test_too_little_space_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    too_many = shutil.disk_usage(tmp_path).total // ROW_BYTES + 1
    with (
        pytest.raises(SpoolError, match=r"rows need .* MiB for spill files, .* are free") as caught,
        spool_folder(tmp_path, too_many),
    ):
        pytest.fail("there is no such disk")
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parent", ["missing", "a-file"])
def test_a_parent_that_cannot_hold_folders_is_refused_with_a_way_out(tmp_path: Path, parent: str) -> None:
    (tmp_path / "a-file").write_text("")
    with (
        pytest.raises(SpoolError, match=r"cannot make a folder .* set \[run\] spool"),
        spool_folder(tmp_path / parent, 10),
    ):
        pytest.fail("there is no such folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SpoolError, match="Permission denied"), spool_folder(tmp_path, 10):
        pytest.fail("nobody may write there")


def flip(path: Path, at: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[at] ^= 1
    path.write_bytes(octets)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: flip(path, 20), "this spill file holds other octets than were written"),  # good to revoked
        (lambda path: flip(path, -1), "this spill file holds other octets than were written"),
        (lambda path: os.truncate(path, 48 * 99), "this spill file ends at 4,752 octets, and more were written"),
        (Path.unlink, "this spill file is missing"),
        (lambda path: shutil.rmtree(path.parent), "this spill file is missing"),
        (become_a_folder, "reading this spill file failed"),
    ],
)
def test_rows_that_changed_in_the_spill_files_are_neither_surveyed_nor_signed(
    tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    bench = Bench(tmp_path, make_issuers(tmp_path / "pki"))
    plan = bench.spool(various_rows(100))
    (task,), signer = bench.tasks(), ShardSigner(bench.job(plan))
    count = CountTask(task.file)
    assert ShardCounter()(count).counts.expired == 0
    (path,) = (tmp_path / "spool").iterdir()
    damage(path)
    for read in (lambda: ShardCounter()(count), lambda: signer(task)):
        with pytest.raises(SpoolError, match="nothing was published; look at the disk and the memory") as caught:
            read()
        assert str(path) in caught.value.message
        assert said in caught.value.message
    assert list(bench.store.list()) == []
