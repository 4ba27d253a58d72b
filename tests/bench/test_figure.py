import pytest

from bench.figure import Figure, Reached, Target

RATIO = Target(must=0.68, wish=0.80)
MEMORY = Target(must=450, wish=250, at_most=True)


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (RATIO, 0.81, "wish"),
        (RATIO, 0.80, "wish"),
        (RATIO, 0.79, "must"),
        (RATIO, 0.68, "must"),
        (RATIO, 0.67, "missed"),
        (MEMORY, 249, "wish"),
        (MEMORY, 250, "wish"),
        (MEMORY, 251, "must"),
        (MEMORY, 450, "must"),
        (MEMORY, 451, "missed"),
    ],
)
def test_a_target_is_reached_at_its_value(target: Target, value: float, verdict: Reached) -> None:
    assert target.verdict(value) == verdict


def test_the_spread_is_how_far_samples_lie_apart() -> None:
    figure = Figure(name="a", group="g", title="t", value=105, samples=(100, 110))
    assert figure.spread == pytest.approx(0.1)
    assert Figure(name="a", group="g", title="t", value=105).spread == 0
