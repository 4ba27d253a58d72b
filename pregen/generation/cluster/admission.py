"""Which workers may work for a run: what they are must be what the client is, where the result depends on it."""

import hashlib
import importlib.metadata
import platform
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

import pregen
import storage
from pregen.config import Config, load_config
from storage.freshness import CLOCK_TOLERANCE_S

# tzdata among them: local times become instants where files are read.
_PACKAGES = ("tzdata", "numpy", "pyarrow", "cryptography", "asn1crypto", "obstore", "msgspec", "xxhash", "distributed")
# Where a machine has its files is its own; so are [run] and [cluster].
_PLACES = ("certificate", "responder_certificate", "key", "key_passphrase_env")
OPEN_FILES = 256  # of one worker: of its packs, its readers and its connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a worker, or the client, is.

    Attributes:
        versions: of what the result depends on, by names.
        fields: digests of the fields of the configuration, but for those that are a machine's own.
        clock_s: when it was asked, by its own clock, in seconds since 1970.
        open_files: how many files its process may open.
    """

    versions: Mapping[str, str]
    fields: Mapping[str, str]
    clock_s: float
    open_files: int

    @property
    def digest(self) -> str:
        """A digest of versions and fields."""
        return hashlib.sha256(repr((sorted(self.versions.items()), sorted(self.fields.items()))).encode()).hexdigest()


def machine_here(config: Path) -> Machine:
    """Return what this process is.

    Raises:
        ConfigError: its configuration cannot be read.
    """
    return Machine(
        versions=_versions(),
        fields=dict(_fields(load_config(config))),
        clock_s=time.time(),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


@cache
def _versions() -> Mapping[str, str]:
    named = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"pregen": _code_digest(), "Python": platform.python_version(), **named}


def _code_digest() -> str:
    """Return the version of this program, with a digest of its code: two builds of one version may differ."""
    total = hashlib.sha256()
    for package in (pregen, storage):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            total.update(f"{package.__name__}/{path.relative_to(folder)}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{importlib.metadata.version('ocsp-pregen')} ({total.hexdigest()[:12]})"


def _fields(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the fields that must be equal, and digests of their values."""
    for section in ("snapshot", "validity", "refresh", "gates", "publish"):
        yield from _digests(section, msgspec.to_builtins(getattr(config, section)))
    for issuer in config.issuer:
        place = f"issuer {issuer.names[0]!r}"
        told = {name: value for name, value in msgspec.to_builtins(issuer).items() if name not in _PLACES}
        yield from _digests(place, told)


def _digests(place: str, fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        yield f"{place}.{name}", hashlib.sha256(repr(value).encode()).hexdigest()[:16]


class Asked(NamedTuple):
    """A machine, and when it was asked and had answered by the client's clock, in seconds since 1970."""

    machine: Machine
    before_s: float
    after_s: float


def objections(client: Machine, worker: Asked) -> list[str]:
    """Return why a worker may not work, each reason as the end of a sentence about it."""
    theirs = worker.machine
    found = [
        f"has {name} {theirs.versions.get(name, '(none)')}, and the client {version}: install the same, and restart it"
        for name, version in client.versions.items()
        if theirs.versions.get(name) != version
    ]
    names = sorted(client.fields.keys() | theirs.fields.keys())
    other = [name for name in names if client.fields.get(name) != theirs.fields.get(name)]
    if other:
        found.append(f"has another configuration than the client, in {', '.join(other)}: make them equal")
    early, late = theirs.clock_s - worker.after_s, worker.before_s - theirs.clock_s
    if (off := max(early, late)) > CLOCK_TOLERANCE_S:
        found.append(
            f"has a clock that is {off:,.0f} s {'ahead of' if early > late else 'behind'} the client's: set both"
        )
    if theirs.open_files < OPEN_FILES:
        found.append(f"may open {theirs.open_files:,} files, and {OPEN_FILES:,} are needed: raise ulimit -n")
    return found
