import time
from collections.abc import Iterator

import pytest

from pregen.generation.work.steps import Steps


def work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_cpu_time_is_counted_by_step_and_waiting_is_not() -> None:
    steps = Steps()
    with steps("sign"):
        work(0.03)
    with steps("store"):
        time.sleep(0.05)
    taken = steps.take()
    assert taken["store"] < 0.03 <= taken["sign"]
    assert steps.take() == {}


def test_what_fails_is_counted_too() -> None:
    steps = Steps()

    def fail() -> None:
        work(0.01)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), steps("sign"):
        fail()
    assert steps.take()["sign"] >= 0.01


def test_items_are_counted_as_they_are_made_and_not_as_they_are_used() -> None:
    steps = Steps()

    def items() -> Iterator[int]:
        for number in range(3):
            work(0.01)
            yield number

    for _ in steps.each("read", items()):
        with steps("route"):
            work(0.02)
    taken = steps.take()
    assert 0.03 <= taken["read"] < taken["route"]
    assert taken["route"] >= 0.06


def test_the_seconds_of_other_processes_are_added_up() -> None:
    steps = Steps()
    steps.add({"sign": 1.5, "pack": 0.25})
    steps.add({"sign": 2.0})
    assert steps.take() == {"sign": 3.5, "pack": 0.25}
