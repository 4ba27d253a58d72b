"""A remote store whose requests are counted, by what was asked and what came of it."""

from collections.abc import Callable
from typing import TypeVar

from storage.edge.watching.counters import Counts
from storage.stores.base import ReadableStore

T = TypeVar("T")


class CountedStore:
    """Does what another store does, and counts it.

    Args:
        store: the other one.
        counts: of this worker.
    """

    def __init__(self, store: ReadableStore, counts: Counts) -> None:
        self._store = store
        self._counts = counts

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._store.url

    @property
    def is_local(self) -> bool:
        """Whether reads take microseconds."""
        return self._store.is_local

    def get(self, name: str) -> bytes:
        """Return the whole object."""
        return self._ask("get", lambda: self._store.get(name))

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return octets of an object."""
        return self._ask("get_range", lambda: self._store.get_range(name, start, length))

    def exists(self, name: str) -> bool:
        """Tell whether the object is there."""
        return self._ask("exists", lambda: self._store.exists(name))

    def clock_s(self, *, may_write: bool = True) -> float | None:
        """Return what the store's own clock says."""
        return self._ask("clock", lambda: self._store.clock_s(may_write=may_write))

    def _ask(self, operation: str, request: Callable[[], T]) -> T:
        try:
            said = request()
        except FileNotFoundError:
            self._counts.ask(operation, "absent")
            raise
        except BaseException:
            self._counts.ask(operation, "error")
            raise
        self._counts.ask(operation, "ok")
        return said
