import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from storage.edge.logs.lines import LINE_BYTES, LineWriter, open_log
from tests.storage.edge.processes import wait_until


class Log:
    """A writer with what it said."""

    def __init__(self, target: int | Path, queue_lines: int = 1000) -> None:
        self.said: list[str] = []
        self.writer = LineWriter(
            target, say=self.said.append, gap=lambda lines: b"GAP %d" % lines, queue_lines=queue_lines
        )

    def put(self, *lines: bytes) -> None:
        for line in lines:
            self.writer.put(line)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def numbered(count: int, size: int = 0) -> list[bytes]:
    return [b"%06d" % number + b"x" * size for number in range(count)]


def test_lines_arrive_whole_and_in_order(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.put(*numbered(500))

    assert log.writer.close(5) == 0
    assert (tmp_path / "log").read_bytes().splitlines() == numbered(500)
    assert log.said == []


def stall(log: Log, writing: int) -> int:
    """Fill the pipe with zeros, then put lines until ten are lost; return how many were put."""
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    put = 0
    while log.writer.lost_count < 10:
        log.put(b"x" * 1000)
        put += 1
    return put


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_what_does_not_fit_is_counted(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], queue_lines=50)
    put = stall(log, pipe[1])
    assert log.said == ["1 line(s) of the log are lost: what reads them is too slow, or does not read"]
    began = time.monotonic()
    left = log.writer.close(0.1)

    assert time.monotonic() - began < 10
    assert left == put - 10
    assert 50 <= left <= 51  # the writer may have one in hand
    assert log.said[1:] == ["9 line(s) of the log are lost: what reads them is too slow, or does not read"]
    octets = b""
    while octets.count(b"\n") < left:  # or the thread would go on with whatever has this descriptor next
        octets += os.read(pipe[0], 1 << 20)
    assert log.writer.close(5) == 0


def test_a_reader_that_wakes_up_finds_the_gap_and_how_many_are_missing(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], queue_lines=10)
    put = stall(log, pipe[1])
    octets = b""
    while octets.count(b"\n") < put - 10:
        octets += os.read(pipe[0], 1 << 20)
    log.put(b"after")
    assert log.writer.close(5) == 0
    lines = (octets + os.read(pipe[0], 1 << 20)).lstrip(b"\0").splitlines()

    assert lines.count(b"x" * 1000) == put - 10
    assert b"GAP 10" in lines
    assert lines[-1] == b"after"


def test_a_pipe_that_someone_made_non_blocking_takes_every_line(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    log = Log(pipe[1])
    log.put(*numbered(200, size=994))
    octets = bytearray()
    while octets.count(b"\n") < 200:
        octets.extend(os.read(pipe[0], 65536))

    assert log.writer.close(5) == 0
    assert bytes(octets).splitlines() == numbered(200, size=994)


def test_writers_that_share_a_pipe_do_not_mix_their_lines(pipe: tuple[int, int]) -> None:
    logs = [Log(pipe[1]), Log(pipe[1])]
    for log, letter in zip(logs, (b"a", b"b"), strict=True):
        log.put(*[letter * (LINE_BYTES + 100)] * 200)
    octets = bytearray()
    while octets.count(b"\n") < 400:
        octets.extend(os.read(pipe[0], 65536))

    assert {log.writer.close(5) for log in logs} == {0}
    assert sorted(set(bytes(octets).splitlines())) == [b"a" * (LINE_BYTES - 1), b"b" * (LINE_BYTES - 1)]


def test_a_reader_that_is_gone_costs_lines_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = Log(writing)
    log.put(*numbered(3))

    assert log.writer.close(5) == 0
    os.close(writing)
    assert log.writer.lost_count == 3
    assert "Broken pipe" in log.said[0]


def test_a_full_device_costs_lines_and_nothing_else() -> None:
    log = Log(Path("/dev/full"))
    log.put(*numbered(100))

    assert log.writer.close(5) == 0
    assert log.writer.lost_count == 100
    assert "No space left on device" in log.said[0]


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Let every file of this process end there, as a full disk would let it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_descriptor_that_somebody_has_closed_costs_lines_and_the_next_ones_are_written(tmp_path: Path) -> None:
    number = open_log(tmp_path / "log")
    log = Log(number)
    os.close(number)
    log.put(b"lost")
    wait_until(lambda: log.writer.lost_count == 1)
    again = open_log(tmp_path / "log")
    os.dup2(again, number)

    log.put(b"written")

    assert log.writer.close(5) == 0
    assert (tmp_path / "log").read_bytes() == b"GAP 1\nwritten\n"
    assert log.said == ["1 line(s) of the log are lost: Bad file descriptor"]
    for descriptor in {again, number}:
        os.close(descriptor)


def test_a_disk_that_filled_up_leaves_one_torn_line_and_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    with files_of_at_most(100):
        log.put(*numbered(20))
        wait_until(lambda: log.writer.lost_count == 20 - 100 // 7)
    log.put(b"after")

    assert log.writer.close(5) == 0
    assert path.read_bytes().splitlines() == [*numbered(14), b"00", b"GAP 6", b"after"]
    assert "File too large" in log.said[0]


def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    log = Log(path)
    log.put(b"before")
    wait_until(lambda: path.exists() and path.read_bytes() != b"")
    path.rename(moved)
    log.put(b"after")

    assert log.writer.close(5) == 0
    assert (moved.read_bytes(), path.read_bytes()) == (b"before\n", b"after\n")


def test_a_file_that_cannot_be_made_anew_goes_on_where_it_was_moved(tmp_path: Path) -> None:
    folder, moved = tmp_path / "folder", tmp_path / "moved"
    folder.mkdir()
    log = Log(folder / "log")
    log.put(b"before")
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_bytes() != b"")
    folder.rename(moved)
    log.put(b"after")

    assert log.writer.close(5) == 0
    assert (moved / "log").read_bytes() == b"before\nafter\n"


def test_lines_into_a_folder_that_was_removed_are_lost_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = Log(folder / "log")
    log.put(b"before")
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_bytes() != b"")
    (folder / "log").unlink()
    folder.rmdir()
    log.put(b"after")

    assert log.writer.close(5) == 0
    assert log.said == ["1 line(s) of the log are lost: No such file or directory"]


def test_a_fifo_without_a_reader_cannot_be_opened_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(OSError, match="No such device or address"):
        open_log(tmp_path / "fifo")
