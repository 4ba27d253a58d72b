from dataclasses import replace
from pathlib import Path

from bench.figure import Figure
from bench.idle import figures_of_idle, measure_idle
from bench.sizes import QUICK_SIZES


def test_a_run_with_nothing_to_do_is_held_against_a_check(tmp_path: Path) -> None:
    found = list(measure_idle(replace(QUICK_SIZES, multibuffer_rows=500), tmp_path, rounds=1))
    assert [one.name for one in found] == ["nothing-to-do.check", "nothing-to-do.run", "nothing-to-do.ratio"]
    assert list(tmp_path.iterdir()) == []


def test_the_ratio_is_of_the_best_of_each() -> None:
    *_, ratio = figures_of_idle(QUICK_SIZES, [2.0, 3.0], [2.2, 9.0])
    assert isinstance(ratio, Figure)
    assert round(ratio.value, 2) == 1.1
    assert ratio.target is not None
    assert ratio.target.verdict(ratio.value) == "must"
