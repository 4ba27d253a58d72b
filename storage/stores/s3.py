"""A store in a bucket of S3, or of a server that speaks its protocol, through obstore.

How it keeps the contract:

* `put_if_absent` is one PUT with ``If-None-Match: *``. Status 409 means that another such write was on its way and
  decides nothing, so it is repeated here; 412 means that the object is there.
* A range that crosses the object's end comes back short from S3 without a word: the length is checked.
* Nobody waits long for a server that is not there: about seven seconds to connect, ten for the first octet
  of an answer. Only a server that takes a write and then says nothing is waited for a minute.
* A request that met trouble is repeated a few times, after pauses that grow and that chance makes different. obstore
  does that for most; what it takes for too delicate (a create, a deletion) or does not come to (a listing that breaks
  off) is repeated here: objects are written whole or created once, so that a second time does no harm.
* Each object says how long caches on the way to it may keep it: a cached LATEST, or a cached absence of the next
  commit, would hold readers back.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from storage.stores.base import ObjectInfo
from storage.stores.options import StoreOptions
from storage.stores.s3_access import S3Access
from storage.stores.s3_faults import is_behind_the_end, is_broken_off, is_conflict, is_forgotten_upload, is_unanswered
from storage.stores.server_clock import server_clock_s
from storage.stores.wording import check_name, check_names, check_range, is_name, short_range, taken

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import S3Store as Client

_CONNECT = timedelta(seconds=2)
_RETRY: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=8)}
# Publishers are told to slow down for seconds, and what they have signed is worth the wait; who looks one answer up is
# not to wait so long.
_PERSISTENT: "RetryConfig" = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 3},
}
_READS: "ClientConfig" = {"connect_timeout": _CONNECT, "read_timeout": timedelta(seconds=3), "timeout": "60s"}
# The time-out of reading would run while octets are sent, and while a server decides between racing creates (SeaweedFS
# takes seconds for eight): writes have a limit for the whole instead.
_WRITES: "ClientConfig" = {"connect_timeout": _CONNECT, "timeout": "60s"}
_PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4  # a slow line has 60 seconds for these together
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5)
_REPEATED_WITHIN_S = 8.0  # what took longer has been waited for enough
_DELETED_AT_ONCE = 4_000  # names that wait in memory: four requests at once, of the thousand names that S3 takes
_FEW = 10  # a server may think for many seconds about removing more
_MUTABLE = ("LATEST", "commits/", "runs/")


class S3Store:
    """Objects in a bucket, below a prefix. Do not carry it over a fork: it has threads."""

    is_local = False

    def __init__(self, url: str, options: StoreOptions) -> None:
        """Open clients; no server is asked for objects yet.

        Raises:
            ValueError, PermissionError: as of `S3Access.of`.
        """
        self.url = url
        self._access = S3Access.of(url, options)
        self._lookups = self._access.client(_READS, _RETRY)
        self._reads = self._access.client(_READS, _PERSISTENT)
        self._writes = self._access.client(_WRITES, _PERSISTENT)

    def get(self, name: str) -> bytes:
        """Return the whole object."""
        check_name(name)
        with self._access.translated(name, reading=True):
            return self._reads.get(name).bytes().to_bytes()

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` octets from `start` on, by one request."""
        check_name(name)
        check_range(start, length)
        with self._access.translated(name, reading=True):
            try:
                octets = self._lookups.get_range(name, start=start, length=length).to_bytes()
            except BaseError as error:
                if is_behind_the_end(error):
                    raise short_range(self.url, name, start, length) from None
                raise
        if len(octets) != length:
            raise short_range(self.url, name, start, length)
        return octets

    def exists(self, name: str) -> bool:
        """Tell whether the object is there, by reading its first octet: readers may not be allowed more."""
        try:
            self.get_range(name, 0, 1)
        except FileNotFoundError:
            return False
        except EOFError:  # there, and empty
            return True
        return True

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Write the object, a large one in parts; replaces one that is there."""
        check_name(name)
        for may_repeat in _attempts():
            with self._access.translated(name, reading=False):
                try:
                    self._writes.put(
                        name,
                        memoryview(data).cast("B"),
                        attributes={"Cache-Control": _cache_control(name)},
                        chunk_size=_PART_BYTES,
                        max_concurrency=_PARTS_AT_ONCE,
                    )
                except (BaseError, FileNotFoundError) as error:
                    if not (is_forgotten_upload(error) and may_repeat()):
                        raise
                else:
                    return

    def put_if_absent(self, name: str, data: bytes) -> None:
        """Write the object, in one request, unless one of that name exists."""
        check_name(name)
        for may_repeat in _attempts():
            with self._access.translated(name, reading=False):
                try:
                    self._writes.put(name, data, mode="create", attributes={"Cache-Control": _cache_control(name)})
                except (AlreadyExistsError, PreconditionError) as error:
                    if not is_conflict(error):
                        raise taken(self.url, name) from None
                except BaseError as error:
                    if not (is_unanswered(error) and may_repeat()):
                        raise
                else:
                    return
        raise ConnectionError(f"{self.url}/{name}: other writers were in the way again and again: run again")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose names begin with `prefix`."""
        folder = prefix.rpartition("/")[0]  # obstore lists whole folders only
        if folder and not is_name(folder):
            return
        last: str | None = None  # a listing that breaks off goes on behind it: names come in their order
        for may_repeat in _attempts():
            with self._access.translated("", reading=True):
                try:
                    for batch in self._reads.list(folder or None, offset=last):
                        for found in batch:
                            last = name = found["path"]
                            if name.startswith(prefix) and is_name(name):
                                yield ObjectInfo(name, found["size"], found["last_modified"].timestamp())
                except BaseError as error:
                    if not (is_broken_off(error) and may_repeat()):
                        raise
                else:
                    return

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, a thousand by each request; one that is not there is no error."""
        check_names(names)
        client = self._reads if len(names) <= _FEW else self._writes
        for first in range(0, len(names), _DELETED_AT_ONCE):
            self._delete(client, list(names[first : first + _DELETED_AT_ONCE]))

    def _delete(self, client: "Client", names: Sequence[str]) -> None:
        for may_repeat in _attempts():
            with self._access.translated("", reading=False):
                try:
                    client.delete(names)
                except BaseError as error:
                    if not (is_unanswered(error) and may_repeat()):
                        raise
                else:
                    return

    def clock_s(self, *, may_write: bool = True) -> float | None:
        """Return what the server's clock says, by one request that writes nothing."""
        del may_write
        return server_clock_s(self._access.server_url)


def _attempts() -> Iterator[Callable[[], bool]]:
    """Yield for each attempt what says whether another may follow; there is a pause between two."""
    until = time.monotonic() + _REPEATED_WITHIN_S
    for pause_s in _PAUSES_S:
        yield lambda: time.monotonic() < until
        time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  spreads racers, guards no secret
    yield lambda: False


def _cache_control(name: str) -> str:
    return "no-store" if name.startswith(_MUTABLE) else "max-age=31536000, immutable"
