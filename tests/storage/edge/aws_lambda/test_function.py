import json
import os
import signal
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from storage.certid import CertID
from storage.edge.aws_lambda.function import LambdaFunction, _Stdout, open_function
from storage.edge.serving.settings import Settings
from storage.reader import Answer
from tests.storage.edge.answers import cert_id, cert_ids_in, encode_request
from tests.storage.edge.aws_lambda.shapes import event_of
from tests.storage.edge.folder_server import DEFECT, FolderSource

MakeFunction = Callable[[FolderSource, Settings], LambdaFunction]
TRY_LATER, INTERNAL_ERROR = bytes((0x30, 3, 0x0A, 1, 3)), bytes((0x30, 3, 0x0A, 1, 2))
ALWAYS = Settings(refresh_s=0.0, store_deadline_s=0.3)


def ask(function: LambdaFunction, serial: int) -> bytes:
    path = "/" + b64encode(encode_request(cert_id(serial))).decode()
    return b64decode(function.answer(event_of("function-url", "GET", path))["body"])


class Hesitant(FolderSource):
    """A source whose looks and lookups wait while they are held."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.looks = self.lookups = 0
        self.may_look, self.may_look_up = threading.Event(), threading.Event()
        self.may_look.set()
        self.may_look_up.set()

    def refresh(self) -> bool:
        self.looks += 1
        self.may_look.wait()
        return super().refresh()

    def lookup(self, cert_id: CertID) -> Answer | None:
        self.lookups += 1
        self.may_look_up.wait()
        return super().lookup(cert_id)


@pytest.fixture
def function_of() -> Iterator[MakeFunction]:
    """Return what makes a function of a source, and closes it at the end."""
    with ExitStack() as opened:

        def make(source: FolderSource, settings: Settings = ALWAYS) -> LambdaFunction:
            return opened.enter_context(closing(LambdaFunction(source, settings)))

        yield make


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Hesitant]:
    (tmp_path / "generation").write_text("1")
    made = Hesitant(tmp_path)
    yield made
    made.may_look.set()
    made.may_look_up.set()


def test_an_instance_looks_before_it_answers_and_not_again_within_the_bound(
    source: Hesitant, tmp_path: Path, function_of: MakeFunction
) -> None:
    function = function_of(source, Settings(refresh_s=60))

    assert cert_ids_in(ask(function, 1)) == [cert_id(1)]
    (tmp_path / "generation").write_text("2")
    ask(function, 1)

    assert (source.looks, source.generation) == (1, 1)


def test_an_instance_that_has_slept_answers_from_what_was_published_meanwhile(
    source: Hesitant, tmp_path: Path, function_of: MakeFunction
) -> None:
    function = function_of(source, Settings(refresh_s=0.05))
    ask(function, 1)
    (tmp_path / "generation").write_text("2")
    time.sleep(0.1)

    assert cert_ids_in(ask(function, 2)) == [cert_id(2)]


def test_a_look_from_before_the_sleep_does_not_count(source: Hesitant, function_of: MakeFunction) -> None:
    function = function_of(source, Settings(refresh_s=0.05, store_deadline_s=60))
    ask(function, 1)
    source.may_look.clear()
    function.catch_up(0.1)  # begins once more, and hangs
    function.catch_up(0.0)
    threading.Timer(0.1, source.may_look.set).start()
    looks = source.looks
    while not source.may_look.is_set():
        ask(function, 1)  # one that has been waited for in vain is not waited for again
    time.sleep(0.1)
    ask(function, 1)

    assert source.looks > looks


def test_a_store_that_does_not_answer_costs_the_deadline_once_and_what_is_loaded_is_served(
    source: Hesitant, function_of: MakeFunction
) -> None:
    function = function_of(source, ALWAYS)
    ask(function, 1)
    source.may_look.clear()

    began = time.monotonic()
    assert cert_ids_in(ask(function, 1)) == [cert_id(1)]
    waited = time.monotonic() - began
    looks = source.looks
    assert cert_ids_in(ask(function, 1)) == [cert_id(1)]

    assert waited >= ALWAYS.store_deadline_s
    assert source.looks == looks


def test_lookups_that_hang_are_try_later_and_after_three_of_them_none_waits(
    source: Hesitant, function_of: MakeFunction
) -> None:
    function = function_of(source, ALWAYS)
    ask(function, 1)
    source.may_look_up.clear()

    assert [ask(function, 1) for _ in range(3)] == [TRY_LATER] * 3
    lookups = source.lookups
    assert ask(function, 1) == TRY_LATER
    assert source.lookups - lookups <= 1, "but for the one that tries whether the store answers again"


def test_a_defect_is_internal_error_and_nothing_published_is_try_later(
    source: Hesitant, tmp_path: Path, function_of: MakeFunction
) -> None:
    assert ask(function_of(source, ALWAYS), DEFECT) == INTERNAL_ERROR
    (tmp_path / "generation").unlink()
    assert ask(function_of(FolderSource(tmp_path), ALWAYS), 1) == TRY_LATER


def test_readiness_tells_of_the_store(source: Hesitant, tmp_path: Path, function_of: MakeFunction) -> None:
    function = function_of(source, ALWAYS)
    probe = event_of("load-balancer", "GET", "/readyz")
    assert function.answer(probe)["statusCode"] == 200
    assert b'"ready"' in b64decode(function.answer(probe)["body"])
    assert function.answer(event_of("load-balancer", "GET", "/healthz"))["statusCode"] == 200
    (tmp_path / "generation").unlink()
    assert function_of(FolderSource(tmp_path), ALWAYS).answer(probe)["statusCode"] == 503


def test_counters_are_no_later_than_the_request_behind_them_however_long_it_took_and_name_no_machine(
    source: Hesitant, function_of: MakeFunction, capfd: pytest.CaptureFixture[str]
) -> None:
    source.may_look.clear()  # so that the look of the first request takes all of its patience
    ask(function_of(source, ALWAYS), 1)

    counters, asked = (json.loads(line) for line in capfd.readouterr().out.splitlines())

    assert counters["counters"]["under_way"] == 0
    assert counters["time"] <= asked["time"]
    assert counters["worker"] == asked["worker"]
    assert "host" not in counters, "a machine whose silence would say that the instance is dead"


def test_a_line_that_stdout_takes_by_halves_is_written_to_its_end() -> None:
    reading, writing = os.pipe()
    line, got = b"x" * (1 << 20), bytearray()

    def read() -> None:
        time.sleep(0.2)  # by then, the pipe is full, and a signal has ended the first write
        while octets := os.read(reading, 1 << 16):
            got.extend(octets)

    stdout, before = os.dup(1), signal.signal(signal.SIGALRM, lambda *_: None)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        os.dup2(writing, 1)
        os.close(writing)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        taker = _Stdout()
        taker.put(line)
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        signal.signal(signal.SIGALRM, before)
        reader.join(10)
        os.close(reading)

    assert (len(got), bytes(got[-1:]), taker.lost_count) == (len(line) + 1, b"\n", 0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PREGEN_STORE", ""),
        ("PREGEN_STORE", "gopher://x"),
        ("PREGEN_MAX_AGE_CAP", "2d"),
        ("PREGEN_MAX_AGE", "old"),
        ("PREGEN_STORE_DEADLINE", "soon"),
        ("PREGEN_STORE_DEADLINE", "0"),
        ("PREGEN_STORE_DEADLINE", "nan"),
        ("PREGEN_LOOK_EVERY", "-1"),
        ("PREGEN_UNREADY_WHEN_DEGRADED", "yes"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        open_function({"PREGEN_STORE": str(tmp_path), variable: value})
