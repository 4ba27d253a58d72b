import pytest

from pregen.engines import survey_engines
from pregen.signers import ALGORITHMS, ENGINES


def test_every_engine_has_its_state_with_what_it_signs_and_no_rates() -> None:
    states = survey_engines(measure=False)
    assert [state.name for state in states] == [engine.name for engine in ENGINES]
    for state, engine in zip(states, ENGINES, strict=True):
        assert state.unavailable == engine.unavailable()
        assert state.algorithms == tuple(name for name, one in ALGORITHMS.items() if engine.supports(one))
        assert state.rates == {}
    assert states[-1].algorithms == tuple(ALGORITHMS)


def test_what_works_is_measured_with_every_algorithm_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pregen.engines.MEASURE_S", 0.005)
    for state in survey_engines(measure=True):
        assert set(state.rates) == (set(state.algorithms) if state.unavailable is None else set())
        assert all(rate > 0 for rate in state.rates.values())
