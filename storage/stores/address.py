"""Where a store is: from an address, as people write it, to the store.

A `StoreAddress` is made once, where the words of people come in (a configuration, a command line), and is all that
travels from there: to whoever opens the store, also in other processes. `SCHEMES` is the registry of all kinds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from storage.stores.base import Store
from storage.stores.local import LocalStore
from storage.stores.options import StoreOptions
from storage.stores.s3_url import bucket_and_prefix

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A store that can be opened by any process of this machine; see `open_store`.

    Attributes:
        url: given as people write it: a path, file:///path, s3://bucket/prefix; held as the store itself gives it,
            which no longer depends on the folder where we stand, and has no secret.
        options: what else is needed to reach it.

    >>> StoreAddress("S3://bucket/ca/ocsp/").url, StoreAddress("/var/lib/a b").url
    ('s3://bucket/ca/ocsp', 'file:///var/lib/a%20b')

    Raises:
        ValueError: it leads nowhere; the text says what is possible.
    """

    url: str
    options: StoreOptions = field(default_factory=StoreOptions)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", SCHEMES[_scheme_of(self.url)].parse(self.url))

    @property
    def path(self) -> Path | None:
        """The folder that the store is in, if it is one in a file system."""
        return _path_in(self.url) if self.url.startswith("file:") else None

    @classmethod
    def seen_from(cls, folder: Path, written: str, options: StoreOptions) -> Self:
        """Return the address that is written in a file of that folder: from there, a relative path starts.

        >>> StoreAddress.seen_from(Path("/etc/pregen"), "store", StoreOptions()).url
        'file:///etc/pregen/store'

        Raises:
            ValueError: it leads nowhere; the text says what is possible.
        """
        return cls(written if _scheme_of(written) else str(folder / written), options)


class Scheme(NamedTuple):
    """A kind of store.

    Attributes:
        example: an address of it, for messages.
        parse: from an address, as people write it, to its URL; raises ValueError.
        open: from an address to the store; modules that not every process needs are imported there.
    """

    example: str
    parse: Callable[[str], str]
    open: Callable[[StoreAddress], Store]


def open_store(address: StoreAddress) -> Store:
    """Open a store; nothing is written, and no server is asked yet.

    Raises:
        ValueError: the endpoint cannot be one.
        PermissionError: there are no credentials for S3, or ones that cannot be used.
    """
    return SCHEMES[_scheme_of(address.url)].open(address)


def _scheme_of(address: str) -> str:
    """Return the key of an address in `SCHEMES`: a path has none."""
    found = _SCHEME.match(address)
    scheme = found.group(1).lower() if found else ""
    if scheme not in SCHEMES:
        raise ValueError(f"{scheme}: is no kind of store: write {possible()} (./a:b for a path with a colon)")
    if not address:
        raise ValueError(f"the address of the store is empty: write {possible()}")
    return scheme


def possible() -> str:
    """Return what an address may be, for messages and help.

    >>> possible()
    'a path, file:///path or s3://bucket/prefix'
    """
    *most, last = (scheme.example for scheme in SCHEMES.values())
    return f"{', '.join(most)} or {last}"


def _url_of_path(address: str) -> str:
    return Path(address).absolute().as_uri()


def _url_of_file(address: str) -> str:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise ValueError(f"{address!r} is not file:///path: three slashes, %23 for # and %3F for ?")
    return _path_in(address).as_uri()


def _path_in(url: str) -> Path:
    return Path(unquote(urlsplit(url).path, errors="surrogateescape"))  # as Path.as_uri wrote it, whatever its octets


def _url_of_bucket(address: str) -> str:
    return "s3://" + "/".join(part for part in bucket_and_prefix(address) if part)


def _open_folder(address: StoreAddress) -> Store:
    return LocalStore(_path_in(address.url))


def _open_s3(address: StoreAddress) -> Store:
    from storage.stores.s3 import S3Store  # noqa: PLC0415 - a client of S3 costs as much as the rest of a lookup

    return S3Store(address.url, address.options)


SCHEMES = {
    "": Scheme("a path", _url_of_path, _open_folder),
    "file": Scheme("file:///path", _url_of_file, _open_folder),
    "s3": Scheme("s3://bucket/prefix", _url_of_bucket, _open_s3),
}
