from pathlib import Path

import pytest

from tests.pregen.cli.ca import Ca, Program


@pytest.fixture
def ca(tmp_path: Path) -> Ca:
    return Ca(tmp_path)


@pytest.fixture
def pregen(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)
