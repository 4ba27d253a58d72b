"""Objects of S3, or of a server that speaks its protocol, read in ranges: never as a whole, never copied to disk.

Each request names the ETag that the object had when it was first looked at, so that an object that is replaced in
between is noticed by the server itself. Clients are opened in the process that uses them, with credentials as boto3
finds and renews them, and are shared by all objects of a bucket. Do not carry one over a fork: it has threads.
"""

import functools
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from obstore.exceptions import PreconditionError

from pregen.snapshot.files.listing import Lister, is_readable
from pregen.snapshot.files.sources import ChangedError
from pregen.snapshot.location import S3Object
from storage.stores import StoreAddress
from storage.stores.s3_access import S3Access

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig

REMOTE_READ_AHEAD_BYTES = 4 << 20  # a request costs some hundredths of a second, whatever it brings
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=2),
    "read_timeout": timedelta(seconds=10),
    "timeout": timedelta(seconds=60),
}


class Bucket:
    """A bucket to be read, in this process."""

    def __init__(self, address: StoreAddress) -> None:
        """Open a client; no server is asked for objects yet.

        Raises:
            PermissionError: no credentials, or ones that cannot be used.
            ConnectionError: the endpoint cannot be one.
        """
        self._address = address
        try:
            access = S3Access.of(address.url, address.options)
        except ValueError as error:
            raise ConnectionError(f"{address.url}: {error}") from None
        self._access, self._lister = access, Lister(access)
        self._client = access.client(_CLIENT, _RETRY)

    def list(self, folder: str) -> "Iterator[RemoteSource]":
        """Yield all objects in a folder (its key, without a slash at the end; empty: the bucket), at any depth.

        Keys that only mark a folder are left out; those that cannot be read are not (`is_readable`).
        """
        for key, size, e_tag in self._lister.list(f"{folder}/" if folder else ""):
            if size or not key.endswith("/"):
                yield RemoteSource(S3Object(self._access.place.bucket, key), size, e_tag, self._address)

    def first_below(self, prefix: str) -> str | None:
        """Return the first key that begins so; None if there is none."""
        return next((one.key for one in self._lister.list(prefix, most=1)), None)

    def find(self, key: str) -> "RemoteSource | None":
        """Return the object of that key; None if there is none, or none that can be read."""
        if not is_readable(key):
            return None
        try:
            with self._translated(key):
                found = self._client.head(key)
        except FileNotFoundError:
            return None
        location = S3Object(self._access.place.bucket, found["path"])
        return RemoteSource(location, found["size"], found["e_tag"], self._address)

    def read(self, source: "RemoteSource", start: int, length: int) -> bytes:
        """Return so many octets from `start` on, of the object as it was when it was identified.

        Raises:
            ChangedError: it is not what it was.
            PermissionError, ConnectionError: it cannot be read.
        """
        key = source.location.key
        options: GetOptions = {"range": (start, start + length)}
        if source.e_tag is not None:
            options["if_match"] = source.e_tag
        try:
            with self._translated(key):
                try:
                    answer = self._client.get(key, options=options)
                    octets = answer.bytes().to_bytes()
                except PreconditionError:
                    raise ChangedError("it was replaced by another object") from None
        except FileNotFoundError:
            raise ChangedError("it was removed") from None
        if len(octets) != length or answer.meta["size"] != source.size:
            raise ChangedError(f"it has {answer.meta['size']:,} octets, and had {source.size:,}")
        return octets

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """As of `S3Access.translated`; whatever else the server refuses, the object could not be reached."""
        try:
            with self._access.translated(key, reading=True):
                yield
        except OSError as error:
            if type(error) is OSError:
                raise ConnectionError(str(error)) from None
            raise


@functools.lru_cache(maxsize=16)
def _bucket(address: StoreAddress, environment: frozenset[tuple[str, str]]) -> Bucket:
    del environment  # other variables, another client
    return Bucket(address)


def open_bucket(address: StoreAddress) -> Bucket:
    """Return the client for a bucket, opened once in a process for all of its objects.

    Raises:
        PermissionError, ConnectionError: as of `Bucket`.
    """
    return _bucket(address, frozenset(one for one in os.environ.items() if one[0].startswith("AWS_")))


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """An object of S3, known by its ETag and its size."""

    location: S3Object
    size: int
    e_tag: str | None
    bucket: StoreAddress

    read_ahead_bytes = REMOTE_READ_AHEAD_BYTES

    @contextmanager
    def opened(self, window_bytes: int = 0) -> Iterator[pa.NativeFile]:
        """Open it; a server compares the ETag with each request, and once more at the end."""
        with pa.PythonFile(_Ranges(self, window_bytes), mode="r") as file:
            yield file
        self.check()

    def head(self, length: int) -> bytes:
        """Return the first octets, so many or all that there are.

        Raises:
            ChangedError, PermissionError, ConnectionError: as of `Bucket.read`.
        """
        length = min(length, self.size)
        return open_bucket(self.bucket).read(self, 0, length) if length else b""

    def check(self) -> None:
        """Compare it with what it was."""
        now = open_bucket(self.bucket).find(self.location.key)
        if now is None:
            raise ChangedError("it was removed")
        if (now.e_tag, now.size) != (self.e_tag, self.size):
            raise ChangedError("it was replaced by another object")


class _Ranges(io.RawIOBase):
    """A file whose every reading is a request for a range; small readings are served from a window of the last one."""

    def __init__(self, source: RemoteSource, window_bytes: int) -> None:
        super().__init__()
        self._bucket = open_bucket(source.bucket)
        self._source = source
        self._window_bytes = window_bytes
        self._window = b""
        self._window_start = 0
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return the next octets, fewer only at the end."""
        left = max(0, self._source.size - self._at)
        length = left if size < 0 else min(size, left)
        start = self._at - self._window_start
        if not 0 <= start <= start + length <= len(self._window):
            if length >= self._window_bytes:
                self._at += length
                return self._bucket.read(self._source, self._at - length, length) if length else b""
            self._window = self._bucket.read(self._source, self._at, min(self._window_bytes, left))
            self._window_start, start = self._at, 0
        self._at += length
        return self._window[start : start + length]
