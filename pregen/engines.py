"""Which engines work here, why the others do not, and how fast they are."""

from dataclasses import dataclass, field

from pregen.signers import ALGORITHMS, ENGINES, PrivateKey, make_key, signing_rate

MEASURE_S = 0.5  # times some thirty pairs of engine and algorithm


@dataclass(frozen=True, slots=True)
class EngineState:
    """One engine on this machine.

    Attributes:
        name: what the configuration calls it.
        unavailable: why it does not work here; None where it does.
        algorithms: what it signs.
        rates: signatures a second on one core, by algorithm, where measured.
    """

    name: str
    unavailable: str | None
    algorithms: tuple[str, ...]
    rates: dict[str, float] = field(default_factory=dict)


def survey_engines(*, measure: bool) -> list[EngineState]:
    """Return the state of every engine, in the order of `ENGINES`; with its rates, half a second each, if wanted."""
    states, keys = [], dict[str, PrivateKey]()
    for engine in ENGINES:
        algorithms = [algorithm for algorithm in ALGORITHMS.values() if engine.supports(algorithm)]
        reason, rates = engine.unavailable(), {}
        for one in algorithms if measure and reason is None else ():
            if one.key not in keys:  # an RSA key of 4096 bits takes seconds to make
                keys[one.key] = make_key(one)
            rates[one.name] = signing_rate(engine, one, keys[one.key], MEASURE_S)
        states.append(EngineState(engine.name, reason, tuple(one.name for one in algorithms), rates))
    return states
