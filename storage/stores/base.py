"""The contract of a store: named, immutable octet strings, and one conditional write.

Rules that every backend keeps (tests/storage/stores/test_conformance.py runs them against each):

* A name is one or more segments of ``[A-Za-z0-9._-]`` joined by single slashes; a segment has at most 200 characters
  and does not begin with a dot. Anything else is `ValueError`. What lies in the same place under other names is not
  an object, and is not listed. No name may be the folder of another (``a`` beside ``a/b``): a file system cannot.
* A write is visible whole or not at all, and is durable when the call returns; so is a deletion.
* `put_if_absent` has one winner among any number of racing callers.
* A range comes back complete or raises: a short read is never returned.
* Errors are builtin ones; what a backend's library raises never leaks:

  ======================  =========================================================================
  `FileNotFoundError`     no object of that name
  `FileExistsError`       `put_if_absent` only: an object of that name is there, nothing was changed
  `EOFError`              a range that ends behind the object's end
  `PermissionError`       missing or wrong credentials, or not allowed
  `ConnectionError`       no answer, a bucket that does not exist, a time-out: the text says which
  `OSError`               everything else (a full disk has its errno)
  ======================  =========================================================================

A `ConnectionError` of `put_if_absent` leaves the outcome unknown, and where an answer got lost and the request was
repeated, `FileExistsError` may speak of the caller's own success: the caller reads the object back and looks whose it
is (storage.commits does).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class ObjectInfo:
    """One object of a listing.

    Attributes:
        name: of the object.
        size_bytes: its octets.
        written_s: when it was last written, by the store's own clock, in seconds since 1970; it tells no two objects
            apart.
    """

    name: str
    size_bytes: int
    written_s: float = field(default=0.0, compare=False)


class ReadableStore(Protocol):
    """As much of a store as answers need: an edge neither lists nor writes, and needs no right to.

    Belongs to the process that opened it; threads may share it.
    """

    @property
    def url(self) -> str:
        """Where the store is, for messages; holds no secret."""

    @property
    def is_local(self) -> bool:
        """Whether reads take microseconds, so that a server may do them without a thread."""

    def get(self, name: str) -> bytes:
        """Return the whole object."""

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` octets from `start` on, by one ranged read; `length` is at least 1."""

    def exists(self, name: str) -> bool:
        """Tell whether the object is there now, whatever was read of it before."""

    def clock_s(self, *, may_write: bool = True) -> float | None:
        """Return what the store's own clock says, in seconds since 1970, give or take one; None: it does not say.

        Some stores say it only to those who write: with `may_write` false, nothing is written, not even for a moment.
        """


class Store(ReadableStore, Protocol):
    """Where packs, tables, manifests and commits live: for publishers, and for those who clean up."""

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Write the object; replaces one that is there."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        """Write the object unless one of that name exists."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose names begin with `prefix` (any string), in no stated order.

        Memory does not grow with their number. What is written or deleted meanwhile may be in it or not.
        """

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, as many as are named, in no stated order; one that is not there is no error.

        Where it raises, some may be gone and others not: call it again with the same names. A name that cannot be one
        is refused before anything is removed.
        """
