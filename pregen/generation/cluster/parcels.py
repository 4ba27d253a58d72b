"""What travels to workers of other machines: jobs and tasks without keys.

A job names keys, and each worker has its own way to them: in the place of a source of keys, the public half travels,
and whoever unpacks the job puts his own source of the same key there, which his own configuration names. So neither
keys nor passphrases are in what a scheduler or a network sees.
"""

import functools
import io
import os
import pickle
from collections.abc import Hashable, Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pregen.config import load_config
from pregen.errors import ConfigError
from pregen.issuers import KeyFile, key_source
from pregen.signers import KeySource
from pregen.snapshot.files.sources import LocalSource

_KEY, _FILE = "key", "file"


def pack(something: object) -> bytes:
    """Return what `unpack` makes of it again, on another machine."""
    octets = io.BytesIO()
    _Packer(octets, protocol=pickle.HIGHEST_PROTOCOL).dump(something)
    return octets.getvalue()


def unpack(octets: bytes, keys: "KeysHere | None" = None) -> object:
    """Return what was packed, with this machine's own sources of keys.

    Args:
        octets: of a parcel that was packed by our own client: unpickling runs what it says.
        keys: of this machine; None: no key is in it.

    Raises:
        ConfigError: this machine has not all of the keys that are needed.
    """
    return _Unpacker(io.BytesIO(octets), keys).load()


class _Packer(pickle.Pickler):
    def persistent_id(self, something: object) -> tuple[object, ...] | None:
        """Return what travels in the place of keys and of files, or None where a thing travels itself."""
        if hasattr(type(something), "open_signer") and hasattr(type(something), "exposure"):  # a `KeySource`
            source = cast("KeySource", something)
            return _KEY, _public_or_none(cast("Hashable", source)), source.describe()
        if isinstance(something, LocalSource):
            # Other machines number the devices of a shared folder otherwise: size and time tell whether it is the file.
            return _FILE, something.location.absolute(), something.size, something.written_ns
        return None


class _Unpacker(pickle.Unpickler):
    def __init__(self, octets: io.BytesIO, keys: "KeysHere | None") -> None:
        super().__init__(octets)
        self._keys = keys

    def persistent_load(self, pid: tuple[object, ...]) -> object:
        """Return this machine's own source of a key, or what a file must be."""
        if pid[0] == _FILE:
            _, location, size, written_ns = pid
            return LocalSource(location, size, None, None, written_ns)  # type: ignore[arg-type]
        _, public, called = pid
        if public is None:  # the client cannot open it either, so that nobody signs with it
            return KeyFile(Path(str(called)))
        assert self._keys is not None
        source = self._keys.sources.get(cast("bytes", public))
        if source is None:
            closed = "".join(f"; {text}" for text in self._keys.closed)
            raise ConfigError(
                f"{os.uname().nodename}: the key that the client has as {called} is not here: let the [[issuer]] "
                f"section of this machine's own configuration name it (`config` of [cluster]){closed}"
            )
        return source


def public_octets(source: KeySource) -> bytes:
    """Return what a key is known by on all machines: its public half, DER."""
    return source.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@functools.lru_cache(1 << 16)
def _public_or_none(source: Hashable) -> bytes | None:
    try:
        return public_octets(cast("KeySource", source))
    except ConfigError:  # its issuer is left behind, which was said
        return None


class KeysHere:
    """The keys of this machine, by its own configuration; they are looked at when the first is asked for.

    Attributes:
        closed: why keys that the configuration names cannot be opened, once `sources` was asked for: whoever wants none
            of them is served.
    """

    def __init__(self, config: Path) -> None:
        self._path = config
        self.closed: list[str] = []

    @cached_property
    def sources(self) -> Mapping[bytes, KeySource]:
        """All sources, by `public_octets`.

        Raises:
            ConfigError: the configuration cannot be read.
        """
        config, found = load_config(self._path), dict[bytes, KeySource]()
        for section in config.issuer:
            source = key_source(config, section)
            try:
                found[public_octets(source)] = source
            except ConfigError as e:
                self.closed.append(e.message)
        return found
