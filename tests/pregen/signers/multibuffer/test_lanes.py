"""Where the stack lies decides how fast some functions of the library are: the calls find the best place."""

import time

import numpy as np
import pytest

from pregen.errors import SigningError
from pregen.signers.multibuffer import LANES
from pregen.signers.multibuffer.lanes import SETTLED_CALLS, SHIFTS, Addresses, Lanes

CALLS = 16


class MoodyFunction:
    """Is fast with one number of arguments alone; notes where in its table each call begins, and that number."""

    def __init__(self, fast: int) -> None:
        self.fast = fast
        self.seen: list[tuple[int, int]] = []
        self.status = 0

    def __call__(self, table: int, *more: None) -> int:
        self.seen.append((table, len(more)))
        until = time.thread_time() + (0 if len(more) == self.fast else 0.002)
        while time.thread_time() < until:
            pass
        return self.status


def run(lanes: Lanes, rows: int = CALLS * LANES) -> None:
    lanes.run(rows, 0, "sign")


@pytest.fixture
def table() -> Addresses:
    return np.zeros(CALLS * LANES, np.uint64)


@pytest.mark.parametrize("fast", sorted(set(SHIFTS)))
@pytest.mark.parametrize("rows", [LANES, 5 * LANES, CALLS * LANES])
def test_calls_settle_for_what_is_fastest_and_each_row_is_signed_once_a_run(
    table: Addresses, fast: int, rows: int
) -> None:
    function = MoodyFunction(fast)
    lanes = Lanes(function, table, shifting=True)
    while len(function.seen) < len(SHIFTS):
        run(lanes, rows)
    run(lanes, rows)
    meant = [table.ctypes.data + 8 * LANES * call for call in range(rows // LANES)]
    assert [at for at, _ in function.seen] == meant * (len(function.seen) // len(meant))
    assert {count for _, count in function.seen[len(SHIFTS) :]} == {fast}


def test_a_caller_with_another_stack_is_noticed_after_a_while(
    table: Addresses,
) -> None:
    function = MoodyFunction(0)
    lanes = Lanes(function, table, shifting=True)
    for _ in range(SETTLED_CALLS // CALLS):
        run(lanes)
    assert function.seen[-1][1] == 0
    function.fast = 6
    run(lanes)
    run(lanes)
    run(lanes)
    assert function.seen[-1][1] == 6


def test_a_lane_that_fails_in_a_trial_is_an_error(table: Addresses) -> None:
    function = MoodyFunction(0)
    function.status = 0x10
    with pytest.raises(SigningError, match="could not sign message 1: "):
        run(Lanes(function, table, shifting=True))


def test_functions_that_do_not_mind_get_no_more_than_their_arguments(
    table: Addresses,
) -> None:
    function = MoodyFunction(0)
    run(Lanes(function, table))
    assert {count for _, count in function.seen} == {0}
