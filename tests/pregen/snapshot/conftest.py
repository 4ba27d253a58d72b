from pathlib import Path

import pytest

from tests.pregen.snapshot.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
