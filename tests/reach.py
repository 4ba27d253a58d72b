"""Which tests reach beyond the code that they are about: for processes, servers, judges or the whole program.

The others are unit tests, which `make check` runs. Nobody marks a test by hand: what its module imports decides, and
the fixtures that it takes.
"""

import functools
import inspect
from types import ModuleType

# Other processes, other machines, and what is started by a signal.
MODULES = {"boto3", "multiprocess", "multiprocessing", "signal", "socket", "subprocess", "threading"}
# Rooms of the tests that start processes and servers, run the whole program, or measure. Those about signing make RSA
# keys, and those about the detector live through weeks of large CAs: who works on these runs their folders.
ROOMS = (
    "bench",
    "tests.bench",
    "tests.careless_s3",
    "tests.faults",
    "tests.incident",
    "tests.judges",
    "tests.loopback",
    "tests.pregen.cli",
    "tests.pregen.gates.detector",
    "tests.pregen.signers",
    "tests.s3",
    "tests.storage.edge",
    "tests.troubled_s3",
)
FIXTURES = {"authority", "ca", "edge", "pregen", "s3_environment", "s3_server"}


def reaches_out(item: object) -> bool:
    """Tell whether a test, as pytest has collected it, needs more than the code in its process."""
    module = getattr(item, "module", None)
    if not isinstance(module, ModuleType):  # the examples of a docstring
        return False
    return _module_reaches_out(module) or not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


@functools.cache
def _module_reaches_out(module: ModuleType) -> bool:
    origins = {_origin(module), *map(_origin, vars(module).values())}
    return any(origin in MODULES or _is_within(origin, ROOMS) for origin in origins)


def _origin(found: object) -> str:
    """Return the name of a module, or of the one where a class or function is from."""
    if inspect.ismodule(found):
        return found.__name__
    return getattr(found, "__module__", None) or "" if inspect.isclass(found) or inspect.isfunction(found) else ""


def _is_within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)
