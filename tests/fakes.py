"""Stores around a store: one that counts, one that is slow, one that fails when told to."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from storage.stores import ObjectInfo, Store


class WrappedStore:
    """Hands everything to the store inside; `_call` sees each call first."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def is_local(self) -> bool:
        return self.inner.is_local

    def get(self, name: str) -> bytes:
        self._call("get", name)
        return self.inner.get(name)

    def get_range(self, name: str, start: int, length: int) -> bytes:
        self._call("get_range", name)
        return self.inner.get_range(name, start, length)

    def exists(self, name: str) -> bool:
        self._call("exists", name)
        return self.inner.exists(name)

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._call("put", name)
        self.inner.put(name, data)

    def put_if_absent(self, name: str, data: bytes) -> None:
        self._call("put_if_absent", name)
        self.inner.put_if_absent(name, data)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self._call("list", prefix)
        yield from self.inner.list(prefix)

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self._call("delete", name)
        self.inner.delete(names)

    def clock_s(self, *, may_write: bool = True) -> float | None:
        return self.inner.clock_s(may_write=may_write)

    def _call(self, operation: str, name: str, /) -> None:
        raise NotImplementedError


class CountingStore(WrappedStore):
    """Counts requests, by operation and by (operation, name); each is one request of an S3 store."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.operations: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    @property
    def reads(self) -> int:
        """How many requests have read octets."""
        return self.operations["get"] + self.operations["get_range"]

    def reset(self) -> None:
        """Begin again at zero."""
        with self._lock:
            self.operations.clear()
            self.requests.clear()

    def _call(self, operation: str, name: str) -> None:
        with self._lock:
            self.operations[operation] += 1
            self.requests[operation, name] += 1


class LatencyStore(WrappedStore):
    """Waits before each request, as a remote store makes its callers wait."""

    is_local = False

    def __init__(self, inner: Store, latency_s: float) -> None:
        super().__init__(inner)
        self.latency_s = latency_s

    def _call(self, _operation: str, _name: str) -> None:
        time.sleep(self.latency_s)


@dataclass(slots=True)
class _Fault:
    operation: str
    prefix: str
    error: OSError
    skip: int
    times: int | None
    applied: bool

    def strikes(self, operation: str, name: str) -> bool:
        if operation != self.operation or not name.startswith(self.prefix):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class FlakyStore(WrappedStore):
    """Fails as it is told to by `fail`, also when only the answer gets lost."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._faults: list[_Fault] = []
        self._lock = Lock()

    def fail(
        self,
        operation: str,
        prefix: str = "",
        *,
        error: OSError | None = None,
        skip: int = 0,
        times: int | None = None,
        applied: bool = False,
    ) -> None:
        """Let `operation` fail on names that begin with `prefix`.

        Args:
            operation: the method's name.
            prefix: of the names it fails on.
            error: what is raised; without one, a `ConnectionError`.
            skip: how many such calls go well before.
            times: how many fail after that; None for all.
            applied: the write takes place and only its answer is lost.
        """
        reason = error or ConnectionError(f"{self.url}: no answer (told to fail)")
        self._faults.append(_Fault(operation, prefix, reason, skip, times, applied))

    def go_away(self) -> None:
        """Let everything fail from now on."""
        for operation in ("get", "get_range", "exists", "put", "put_if_absent", "list", "delete"):
            self.fail(operation)

    def come_back(self) -> None:
        """Let nothing fail any more."""
        self._faults.clear()

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        fault = self._strike("put", name)
        if fault is None or fault.applied:
            self.inner.put(name, data)
        if fault is not None:
            raise fault.error

    def put_if_absent(self, name: str, data: bytes) -> None:
        fault = self._strike("put_if_absent", name)
        if fault is None or fault.applied:
            self.inner.put_if_absent(name, data)
        if fault is not None:
            raise fault.error

    def _call(self, operation: str, name: str) -> None:
        if fault := self._strike(operation, name):
            raise fault.error

    def _strike(self, operation: str, name: str) -> _Fault | None:
        with self._lock:
            return next((fault for fault in self._faults if fault.strikes(operation, name)), None)
