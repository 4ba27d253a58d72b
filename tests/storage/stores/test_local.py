"""What only a store in a folder has: processes, kills, full disks, descriptors, and foreign files."""

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from storage.stores import LocalStore, NotAtHandError, ObjectInfo
from storage.stores.mounts import is_in_memory

PACKS_OPEN = 256  # what storage.stores.local keeps


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    store = LocalStore(tmp_path / "store")
    yield store
    store.close()


def hidden_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


def octets_in(files: list[Path]) -> int:
    total = 0
    for path in files:
        with suppress(FileNotFoundError):  # it has got its name meanwhile
            total += path.stat().st_size
    return total


def open_files(folder: Path) -> int:
    """Count the descriptors of this process that lead into `folder`."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += str(folder) in str(link.readlink())
        except FileNotFoundError:  # the descriptor of this listing itself
            continue
    return count


def start_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


RACER = """
import sys, time
from pathlib import Path
from storage.stores import LocalStore
folder, number = Path(sys.argv[1]), sys.argv[2]
store = LocalStore(folder / "store")
print("ready", flush=True)
while not (folder / "go").exists():
    pass
for turn in range(20):
    try:
        store.put_if_absent(f"commits/{turn}", number.encode() * 1000)
        print(turn, flush=True)
    except FileExistsError:
        pass
"""


def test_one_of_many_racing_processes_wins_each_create(tmp_path: Path) -> None:
    racers = [start_python(RACER, str(tmp_path), str(number)) for number in range(4)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        (tmp_path / "go").touch()
        won = {number: racer.communicate(timeout=120)[0].split() for number, racer in enumerate(racers)}
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()

    assert sorted(int(turn) for turns in won.values() for turn in turns) == list(range(20))
    store = LocalStore(tmp_path / "store")
    for number, turns in won.items():
        for turn in turns:
            assert store.get(f"commits/{turn}") == str(number).encode() * 1000


WRITER = """
import sys
from pathlib import Path
from storage.stores import LocalStore
store, data = LocalStore(Path(sys.argv[1])), bytes(32 << 20)
while True:
    getattr(store, sys.argv[2])("packs/one", data)
    store.delete(["packs/one"])
"""


@pytest.mark.parametrize("operation", ["put", "put_if_absent"])
def test_a_killed_writer_leaves_nothing_that_can_be_seen(tmp_path: Path, operation: str) -> None:
    root = tmp_path / "store"
    store = LocalStore(root)
    store.put("packs/other", b"octets")

    for _ in range(20):
        writer = start_python(WRITER, str(root), operation)
        deadline = time.monotonic() + 10
        while not octets_in(hidden_files(root)) and time.monotonic() < deadline:
            pass
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        if hidden_files(root):
            break
    left = hidden_files(root)
    assert left, "no writer was killed in the middle"

    assert list(store.list()) == [ObjectInfo("packs/other", 6)]
    with pytest.raises(FileNotFoundError):
        store.get("packs/one")
    store.put_if_absent("packs/one", b"the next writer's")
    assert store.get("packs/one") == b"the next writer's"
    assert hidden_files(root) == left


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root may mount a small tmpfs")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_says_so_and_leaves_nothing_behind(small_disk: Path) -> None:
    root = small_disk / "store"
    store = LocalStore(root)
    store.put("packs/one", b"octets")

    for write in (store.put, store.put_if_absent):
        with pytest.raises(OSError, match="packs/two") as caught:
            write("packs/two", bytes(2 << 20))
        assert caught.value.errno == errno.ENOSPC

    with pytest.raises(OSError, match="packs/one") as caught:
        store.put("packs/one", bytes(2 << 20))
    assert caught.value.errno == errno.ENOSPC
    assert store.get("packs/one") == b"octets"
    assert list(store.list()) == [ObjectInfo("packs/one", 6)]
    assert hidden_files(root) == []


def test_a_folder_that_cannot_be_made_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        store = LocalStore(root)
        for write in (store.put, store.put_if_absent):
            with pytest.raises(NotADirectoryError, match=str(root)):
                write("commits/1", b"x")
        assert list(store.list()) == []
        with pytest.raises(FileNotFoundError):
            store.get("commits/1")


def test_a_file_in_the_way_of_a_folder_is_no_lost_race(store: LocalStore) -> None:
    store.put("commits", b"should be a folder")

    with pytest.raises(NotADirectoryError, match="commits"):
        store.put_if_absent("commits/1", b"x")


def test_octets_are_durable_before_their_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "new" / "store"
    real_fsync = os.fsync
    seen: list[tuple[str, bool]] = []

    def spy(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        what = "octets" if path.name.startswith(".") else str(path.relative_to(tmp_path))
        seen.append((what, (root / name).exists()))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    store = LocalStore(root)

    name = "packs/one"
    store.put(name, b"octets")
    folders = [("new/store/packs", False), ("new/store", False), ("new", False), (".", False)]
    assert seen == [*folders, ("octets", False), ("new/store/packs", True)]

    seen.clear()
    name = "packs/two"
    store.put_if_absent(name, b"octets")
    assert seen == [("octets", False), ("new/store/packs", True)]

    seen.clear()
    name = "packs/three"
    LocalStore(root).put(name, b"octets")
    assert seen == [("new/store/packs", False), ("new/store", False), ("octets", False), ("new/store/packs", True)]


def test_a_deletion_is_durable_when_it_returns_also_one_that_a_killed_process_began(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["packs/one", "packs/two", "history/one"]
    for name in names:
        store.put(name, b"octets")
    real_fsync = os.fsync
    synced: list[str] = []

    def spy(descriptor: int) -> None:
        assert list(store.list()) == []
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)

    for _ in range(2):
        synced.clear()
        store.delete([*names, "nowhere/one"])
        assert sorted(synced) == ["history", "packs"]


def test_a_listing_takes_no_memory_for_each_object(store: LocalStore, tmp_path: Path) -> None:
    store.put("packs/0", b"")
    [folder] = tmp_path.rglob("packs")
    for number in range(1, 2_000):
        folder.joinpath(str(number)).touch()

    tracemalloc.start()
    try:
        count = sum(1 for _ in store.list())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 2_000
    assert peak_bytes < 100_000


def test_other_users_may_read_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = LocalStore(tmp_path / "store")
        store.put("packs/one", b"x")
        store.put_if_absent("commits/1", b"x")
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").rglob("*")}
    assert modes == {"packs": 0o755, "commits": 0o755, "one": 0o644, "1": 0o644}


def test_foreign_files_are_not_objects(store: LocalStore, tmp_path: Path) -> None:
    store.put("packs/one", b"x")
    root = tmp_path / "store"
    (root / "lost+found").mkdir()
    (root / "lost+found" / "a").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_bytes(b"x")
    (root / "notes of the operator.txt").write_bytes(b"x")
    (root / "packs" / "empty").mkdir()

    assert list(store.list()) == [ObjectInfo("packs/one", 1)]
    store.delete(["packs/empty"])
    assert (root / "packs" / "empty").is_dir()


@pytest.mark.parametrize("name", ["LATEST", "packs/one"])
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_file_is_no_object_and_keeps_nobody_waiting(
    store: LocalStore, tmp_path: Path, name: str, kind: str
) -> None:
    place = tmp_path / "store" / name
    place.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(place)
    else:
        place.symlink_to(os.devnull)
    seen: list[type[BaseException]] = []

    def read() -> None:
        with pytest.raises(FileNotFoundError) as whole:
            store.get(name)
        with pytest.raises(FileNotFoundError) as part:
            store.get_range(name, 0, 1)
        seen.extend((whole.type, part.type))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(60)

    assert seen == [FileNotFoundError, FileNotFoundError]


def test_descriptors_of_packs_are_kept_and_bounded(store: LocalStore, tmp_path: Path) -> None:
    root = tmp_path / "store"
    (root / "packs").mkdir(parents=True)
    for number in range(PACKS_OPEN + 40):
        (root / "packs" / f"{number}").write_bytes(b"%d" % number)

    for number in range(PACKS_OPEN + 40):
        assert store.get_range(f"packs/{number}", 0, len(str(number))) == b"%d" % number
    assert open_files(root) == PACKS_OPEN

    store.close()
    assert open_files(root) == 0
    assert store.get_range("packs/7", 0, 1) == b"7"


def test_only_packs_stay_open(store: LocalStore, tmp_path: Path) -> None:
    store.put("manifests/one", b"x")
    store.get_range("manifests/one", 0, 1)

    assert open_files(tmp_path / "store") == 0


@contextmanager
def descriptors_of_at_most(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_few_descriptors_keep_few_packs_open(tmp_path: Path) -> None:
    with descriptors_of_at_most(512):
        store = LocalStore(tmp_path)
        for number in range(100):
            store.put(f"packs/{number}", b"octets")
        for number in range(100):
            assert store.get_range(f"packs/{number}", 0, 6) == b"octets"
        assert open_files(tmp_path) == 512 // 8
    store.close()


def test_when_no_descriptor_is_left_packs_are_read_with_those_that_were_kept(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for number in range(20):
        store.put(f"packs/{number}", b"octets")
    for number in range(10):
        store.get_range(f"packs/{number}", 0, 6)
    others: list[int] = []
    with descriptors_of_at_most(512):
        with suppress(OSError):
            while True:
                others.append(os.open("/dev/null", os.O_RDONLY))
        try:
            assert {store.get_range(f"packs/{number}", 0, 6) for number in range(20)} == {b"octets"}
        finally:
            for descriptor in others:
                os.close(descriptor)
    store.close()


def test_a_store_that_nobody_holds_keeps_no_descriptor(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("packs/one", b"x")
    store.get_range("packs/one", 0, 1)
    assert open_files(tmp_path / "store") == 1

    del store

    assert open_files(tmp_path / "store") == 0


def test_threads_read_the_right_file_while_descriptors_are_evicted(store: LocalStore, tmp_path: Path) -> None:
    packs = tmp_path / "store" / "packs"
    packs.mkdir(parents=True)
    numbers = range(PACKS_OPEN * 2)
    for number in numbers:
        (packs / f"{number}").write_bytes(b"%06d" % number)

    def read(step: int) -> bool:
        turns = [turn * step % len(numbers) for turn in range(4000)]
        return all(store.get_range(f"packs/{number}", 0, 6) == b"%06d" % number for number in turns)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, (1, 3, 5, 7)))


def test_a_replaced_pack_is_read_anew(store: LocalStore) -> None:
    store.put("packs/one", b"first")
    assert store.get_range("packs/one", 0, 5) == b"first"

    store.put("packs/one", b"second")

    assert store.get_range("packs/one", 0, 6) == b"second"


def test_a_relative_root_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore(Path("store"))
    monkeypatch.chdir("/")

    store.put("one", b"x")

    assert (tmp_path / "store" / "one").read_bytes() == b"x"
    assert store.url == f"file://{tmp_path}/store"


@pytest.fixture
def on_disk(store: LocalStore, tmp_path: Path) -> LocalStore:
    if is_in_memory(tmp_path):
        pytest.skip("temporary files are in memory here")
    store.put("packs/a", b"octets" * 10_000)
    store.put("manifests/a", b"manifest")
    return store


def evict(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def test_a_thread_that_must_not_wait_gets_what_is_in_memory_and_no_more(on_disk: LocalStore, tmp_path: Path) -> None:
    pack = tmp_path / "store" / "packs" / "a"
    on_disk.hurry()

    evict(pack)
    with pytest.raises(NotAtHandError, match="packs/a is not in memory") as cold:
        on_disk.get_range("packs/a", 6, 6)
    assert not cold.value.is_always

    with ThreadPoolExecutor(1) as another:
        assert another.submit(on_disk.get_range, "packs/a", 6, 60).result() == b"octets" * 10
    assert on_disk.get_range("packs/a", 6, 60) == b"octets" * 10
    assert type(on_disk.get_range("packs/a", 0, 1)) is bytes


def test_what_a_thread_that_must_not_wait_cannot_have_whole_is_left_to_others(on_disk: LocalStore) -> None:
    on_disk.hurry()

    for start, length in ((59_999, 2), (70_000, 1), (0, 1 << 21)):
        with pytest.raises(NotAtHandError):
            on_disk.get_range("packs/a", start, length)
    with pytest.raises(FileNotFoundError):
        on_disk.get_range("packs/b", 0, 1)


def test_a_store_in_memory_makes_nobody_wait() -> None:
    if not is_in_memory(Path("/dev/shm")):
        pytest.skip("there is no file system in memory here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, closing(LocalStore(Path(folder))) as store:
        store.put("packs/a", b"octets")
        store.hurry()

        assert store.get_range("packs/a", 0, 6) == b"octets"


def test_a_file_system_that_cannot_tell_is_said_to_be_of_no_use(tmp_path: Path) -> None:
    """A folder in memory behind a link that is set later: what `hurry` has looked at is another file system."""
    if not is_in_memory(Path("/dev/shm")) or is_in_memory(tmp_path):
        pytest.skip("needs a disk, and a file system in memory")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, closing(LocalStore(tmp_path / "store")) as store:
        store.hurry()
        (tmp_path / "store").symlink_to(folder)
        store.put("packs/a", b"octets")

        with pytest.raises(NotAtHandError) as refused:
            store.get_range("packs/a", 0, 6)
        assert refused.value.is_always
