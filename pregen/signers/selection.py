"""Which engine signs: the one that is named, or the fastest that works here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pregen.errors import ConfigError
from pregen.signers.algorithms import Algorithm
from pregen.signers.awslc import AwslcEngine
from pregen.signers.base import Engine, PrivateKey
from pregen.signers.multibuffer import MultibufferEngine
from pregen.signers.rates import compared_rates
from pregen.signers.software import SoftwareEngine

AUTO = "auto"
# In the order in which they are listed; the one that works everywhere comes last.
ENGINES: tuple[Engine, ...] = (MultibufferEngine(), AwslcEngine(), SoftwareEngine())
# By so much a later engine must beat an earlier one. OpenSSL and AWS-LC differ by one or two per cent in RSA, which is
# less than two measurements do, and then processes in a row would choose differently.
CLEARLY = 1.15

_chosen: dict[tuple[Algorithm, tuple[Engine, ...]], "Choice"] = {}


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and what it was chosen by.

    Attributes:
        engine: the name of which signs.
        rates: signatures a second of CPU time of each engine that could, by name; empty: it was named, not measured.
    """

    engine: str
    rates: Mapping[str, float]


def engine_named(name: str, algorithm: Algorithm, engines: Sequence[Engine] = ENGINES) -> Engine:
    """Return the engine of that name, or for `auto` the first that could sign here.

    Raises:
        ConfigError: there is no such engine, it does not work here, or it lacks the algorithm.
    """
    if name == AUTO:
        return _able(algorithm, engines)[0]
    engine = next((engine for engine in engines if engine.name == name), None)
    if engine is None:
        known = ", ".join([AUTO, *(engine.name for engine in engines)])
        raise ConfigError(f"there is no engine {name!r}: choose one of {known}")
    if reason := engine.unavailable():
        raise ConfigError(f"engine {name} does not work here: {reason}; or use --engine auto")
    if not engine.supports(algorithm):
        raise ConfigError(f"engine {name} does not sign {algorithm.name}: use --engine auto, or another one")
    return engine


def choose_engine(
    name: str, algorithm: Algorithm, key: Callable[[], PrivateKey], engines: Sequence[Engine] = ENGINES
) -> Choice:
    """Return the engine of that name, or for `auto` the fastest that works here: measured once a process.

    Args:
        name: of an engine, or `auto`.
        algorithm: what it is to sign with.
        key: opens a key of the algorithm; called for `auto` alone.
        engines: those that there are.

    Raises:
        ConfigError: as for `engine_named`, or no engine can use the key.
    """
    if name != AUTO:
        return Choice(engine_named(name, algorithm, engines).name, {})
    able = _able(algorithm, engines)
    if (algorithm, able) not in _chosen:
        _chosen[algorithm, able] = _fastest(compared_rates(able, algorithm, key()), algorithm)
    return _chosen[algorithm, able]


def _able(algorithm: Algorithm, engines: Sequence[Engine]) -> tuple[Engine, ...]:
    return tuple(engine for engine in engines if engine.unavailable() is None and engine.supports(algorithm))


def _fastest(rates: Mapping[Engine, float], algorithm: Algorithm) -> Choice:
    """Return the first in the listed order that no other one clearly beats."""
    if not rates:
        raise ConfigError(f"no engine can use the key for {algorithm.name}: make another one")
    best = max(rates.values())
    engine = next(engine for engine, rate in rates.items() if rate * CLEARLY >= best)
    return Choice(engine.name, {one.name: rate for one, rate in rates.items()})
