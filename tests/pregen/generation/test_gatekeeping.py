"""What connects a run with its gates."""

from pathlib import Path

import pyarrow as pa
import pytest

from pregen.errors import VerificationError
from pregen.generation.gatekeeping import invalid_rows
from tests.pregen.snapshot.desk import Desk, table


@pytest.mark.parametrize(("routed", "invalid"), [(7, 3), (8, 2), (10, 0)])
def test_rows_that_are_neither_left_out_nor_routed_are_invalid(tmp_path: Path, routed: int, invalid: int) -> None:
    serial = pa.array([None if at < 3 else bytes([at]) for at in range(10)], pa.binary())
    snapshot, _ = Desk(tmp_path).read(table(10, serial=serial))

    assert invalid_rows(snapshot, routed) == invalid


@pytest.mark.parametrize("routed", [6, 11])
def test_rows_that_are_lost_or_made_up_end_the_run(tmp_path: Path, routed: int) -> None:
    serial = pa.array([None if at < 3 else bytes([at]) for at in range(10)], pa.binary())
    snapshot, _ = Desk(tmp_path).read(table(10, serial=serial))

    with pytest.raises(VerificationError, match="are lost"):
        invalid_rows(snapshot, routed)
