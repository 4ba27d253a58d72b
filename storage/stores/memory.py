"""A store in memory, for tests: the contract in its plainest form."""

import time
from collections.abc import Iterator, Sequence
from threading import Lock

from storage.stores.base import ObjectInfo
from storage.stores.wording import absent, check_name, check_names, check_range, short_range, taken


class MemoryStore:
    """Objects in a dict; gone with the process."""

    url = "memory:"
    is_local = True

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._written_s: dict[str, float] = {}
        self._lock = Lock()

    def get(self, name: str) -> bytes:
        """Return the whole object."""
        check_name(name)
        try:
            return self._objects[name]
        except KeyError:
            raise absent(self.url, name) from None

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` octets from `start` on."""
        check_range(start, length)
        octets = self.get(name)[start : start + length]
        if len(octets) < length:
            raise short_range(self.url, name, start, length)
        return octets

    def exists(self, name: str) -> bool:
        """Tell whether the object is there."""
        check_name(name)
        return name in self._objects

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Write the object; replaces one that is there."""
        check_name(name)
        with self._lock:
            self._write(name, data)

    def put_if_absent(self, name: str, data: bytes) -> None:
        """Write the object unless one of that name exists."""
        check_name(name)
        with self._lock:
            if name in self._objects:
                raise taken(self.url, name)
            self._write(name, data)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose names begin with `prefix`."""
        with self._lock:
            found = [
                ObjectInfo(name, len(data), self._written_s[name])
                for name, data in self._objects.items()
                if name.startswith(prefix)
            ]
        yield from found

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error."""
        check_names(names)
        with self._lock:
            for name in names:
                if self._objects.pop(name, None) is not None:
                    del self._written_s[name]

    def clock_s(self, *, may_write: bool = True) -> float | None:
        """Return what the machine's clock says."""
        del may_write
        return time.time()

    def _write(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._objects[name], self._written_s[name] = bytes(data), time.time()
