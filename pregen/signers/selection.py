"""Which engine signs: the one that is named, or the fastest that works here."""

from collections.abc import Sequence

from pregen.errors import ConfigError
from pregen.signers.algorithms import Algorithm
from pregen.signers.awslc import AwslcEngine
from pregen.signers.base import Engine
from pregen.signers.multibuffer import MultibufferEngine
from pregen.signers.software import SoftwareEngine

AUTO = "auto"
# The fastest first, as `pregen engines --measure` shows; RSA-2048 is with software alone so far.
ENGINES: tuple[Engine, ...] = (MultibufferEngine(), AwslcEngine(), SoftwareEngine())


def engine_named(name: str, algorithm: Algorithm, engines: Sequence[Engine] = ENGINES) -> Engine:
    """Return the engine of that name, or for `auto` the fastest that works here.

    Args:
        name: of an engine, or `auto`.
        algorithm: what it is to sign with.
        engines: those that there are, the fastest first.

    Raises:
        ConfigError: there is no such engine, it does not work here, or it lacks the algorithm.
    """
    if name == AUTO:
        return next(engine for engine in engines if engine.supports(algorithm) and engine.unavailable() is None)
    engine = next((engine for engine in engines if engine.name == name), None)
    if engine is None:
        known = ", ".join([AUTO, *(engine.name for engine in engines)])
        raise ConfigError(f"there is no engine {name!r}: choose one of {known}")
    if reason := engine.unavailable():
        raise ConfigError(f"engine {name} does not work here: {reason}; or use --engine auto")
    if not engine.supports(algorithm):
        raise ConfigError(f"engine {name} does not sign {algorithm.name}: use --engine auto, or another one")
    return engine
