import pytest

from tests.pregen.gates.detector.clean import findings_of
from tests.pregen.gates.detector.matrix import MISTAKES, Mistake, cases, errors, missed, try_case


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_tenth_zone_read_as_another_is_caught_and_named_by_history_and_by_anchors(mistake: Mistake) -> None:
    assert_all_caught(mistake, step=10)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_zone_read_as_another_is_caught_and_named_by_history_and_by_anchors(mistake: Mistake) -> None:
    assert_all_caught(mistake, step=1)


def test_a_hundred_clean_snapshots_make_no_error() -> None:
    assert_no_error(range(1_000, 1_100))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1_000, 250))
def test_a_thousand_clean_snapshots_make_no_error(first: int) -> None:
    assert_no_error(range(first, first + 250))


def assert_all_caught(mistake: Mistake, step: int) -> None:
    wrong = [case for case in cases(mistake, step) if case.shift_s]
    assert len(wrong) > 300 / step
    found = [(case, try_case(case)) for case in wrong]
    why = [missed(case, one) for case, both in found for one in (both.with_history, both.with_anchors)]
    assert [text for text in why if text] == []


def assert_no_error(seeds: range) -> None:
    wrong = {seed: found for seed in seeds if (found := list(map(str, errors(findings_of(seed)))))}
    assert wrong == {}
