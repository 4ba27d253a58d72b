"""Which engine signs: the one that is named, or the fastest that works here."""

from collections.abc import Callable, Sequence

from pregen.errors import ConfigError, SigningError
from pregen.signers.algorithms import Algorithm
from pregen.signers.awslc import AwslcEngine
from pregen.signers.base import Engine, PrivateKey
from pregen.signers.multibuffer import MultibufferEngine
from pregen.signers.rates import signing_rate
from pregen.signers.software import SoftwareEngine

AUTO = "auto"
# In the order in which they are listed; the one that works everywhere comes last.
ENGINES: tuple[Engine, ...] = (MultibufferEngine(), AwslcEngine(), SoftwareEngine())
MEASURE_S = 0.005

_fastest: dict[tuple[Algorithm, tuple[Engine, ...]], Engine] = {}


def engine_named(
    name: str,
    algorithm: Algorithm,
    key: Callable[[], PrivateKey] | None = None,
    engines: Sequence[Engine] = ENGINES,
) -> Engine:
    """Return the engine of that name, or for `auto` the fastest that works here.

    Args:
        name: of an engine, or `auto`.
        algorithm: what it is to sign with.
        key: opens a key of the algorithm. With it `auto` is measured where several engines could sign, and the answer
            remembered for the process; without it, `auto` is the first that could.
        engines: those that there are.

    Raises:
        ConfigError: there is no such engine, it does not work here, or it lacks the algorithm.
    """
    if name == AUTO:
        able = tuple(engine for engine in engines if engine.unavailable() is None and engine.supports(algorithm))
        return able[0] if key is None or len(able) == 1 else _measured(able, algorithm, key)
    engine = next((engine for engine in engines if engine.name == name), None)
    if engine is None:
        known = ", ".join([AUTO, *(engine.name for engine in engines)])
        raise ConfigError(f"there is no engine {name!r}: choose one of {known}")
    if reason := engine.unavailable():
        raise ConfigError(f"engine {name} does not work here: {reason}; or use --engine auto")
    if not engine.supports(algorithm):
        raise ConfigError(f"engine {name} does not sign {algorithm.name}: use --engine auto, or another one")
    return engine


def _measured(engines: tuple[Engine, ...], algorithm: Algorithm, key: Callable[[], PrivateKey]) -> Engine:
    """Return the engine with the best rate; those that cannot use the key are left out."""
    if (algorithm, engines) not in _fastest:
        opened, rates = key(), {}
        for engine in engines:
            try:
                rates[engine] = signing_rate(engine, algorithm, opened, MEASURE_S)
            except SigningError:
                continue
        if not rates:
            raise ConfigError(f"no engine can use the key for {algorithm.name}: make another one")
        _fastest[algorithm, engines] = max(rates, key=lambda engine: rates[engine])
    return _fastest[algorithm, engines]
