"""A spool in a store, such as a bucket: for runs on several machines, which share no folder.

A run's parts are in `parts/<id>/`, and the marker `runs/<id>` says that it lives, as those of publishers do
(`storage.markers`): what a killed run left is removed by the next one once its marker is dead. A part is put block by
block, each an object of its own, so that it is in memory once.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pregen import clock
from pregen.errors import SpoolError, explained
from pregen.generation.rows.checksums import BY_SHA256, Checksum
from pregen.generation.rows.spool import PartRange, broken
from storage.errors import StorageError
from storage.markers import MARKER_NAME, at_work, is_alive
from storage.stores import ObjectInfo, Store, StoreAddress, open_store

_REQUESTS = 16  # at once
_BLOCK_BYTES = 16 << 20
_PARTS, _MARKERS = "parts/", "runs/"


@dataclass(frozen=True, slots=True)
class StoreSpool:
    """A spool in a store; whoever unpickles it opens the store with the credentials that are his own."""

    address: StoreAddress
    prefix: str
    block_bytes: int = _BLOCK_BYTES

    @property
    def checksum(self) -> Checksum:
        """SHA-256: whoever may write in the bucket shall not decide what is signed."""
        return BY_SHA256

    def put(self, name: str, pieces: Iterable[memoryview]) -> None:
        """Put a part as one object, or as several."""
        store, number, block = _opened(self.address), 0, bytearray()
        try:
            for piece in pieces:
                block += piece
                while len(block) > self.block_bytes:
                    store.put(self._block(name, number), bytes(block[: self.block_bytes]))
                    number += 1
                    del block[: self.block_bytes]
            store.put(self._block(name, number), bytes(block))
        except OSError as e:
            raise SpoolError(
                f"{self.place_of(name)}: writing spooled rows failed ({explained(e)}): nothing was published; look at "
                "the store and at what it lets us do, or set [run] spool to another one"
            ) from e

    def fetch(self, ranges: Sequence[PartRange], into: memoryview) -> None:
        """Read ranges, several at once."""
        starts, at, blocks = [], 0, [some for one in ranges for some in self._blocks(one)]
        for _, one in blocks:
            starts.append(at)
            at += one.size_bytes
        store = _opened(self.address)

        def read(block: tuple[str, PartRange], start: int) -> None:
            name, one = block
            try:
                octets = store.get_range(name, one.start, one.size_bytes)
            except FileNotFoundError:
                raise broken(self, one.name, "these spooled rows are missing") from None
            except EOFError as e:
                raise broken(self, one.name, f"these spooled rows end too early ({e})") from e
            except OSError as e:
                raise broken(self, one.name, f"reading spooled rows failed ({explained(e)})") from e
            into[start : start + one.size_bytes] = octets

        if len(blocks) == 1:
            read(blocks[0], 0)
            return
        with ThreadPoolExecutor(_REQUESTS) as threads:
            list(threads.map(read, blocks, starts))

    def _block(self, name: str, number: int) -> str:
        """Return the name of an object of a part."""
        return f"{self.prefix}{name}" + (f".{number}" if number else "")

    def _blocks(self, one: PartRange) -> Iterator[tuple[str, PartRange]]:
        """Yield the objects that a range is in, and where it is there."""
        at, end = one.start, one.start + one.size_bytes
        while at < end:
            number, start = divmod(at, self.block_bytes)
            size = min(end - at, self.block_bytes - start)
            yield self._block(one.name, number), PartRange(one.name, start, size)
            at += size

    def place_of(self, name: str) -> str:
        """Return the address of a part."""
        return f"{self.address.url}/{self.prefix}{name}"


@functools.lru_cache(4)
def _opened(address: StoreAddress) -> Store:
    """Return the store of an address: one client a process serves all parts."""
    return open_store(address)


@contextlib.contextmanager
def store_spool(address: StoreAddress) -> Iterator[StoreSpool]:
    """Give a spool in a store; remove what is in it afterwards, and what dead runs have left there.

    Raises:
        SpoolError: the store cannot be written, or does not answer.
    """
    store = _opened(address)
    with contextlib.ExitStack() as working:
        try:
            remove_abandoned(store)
            marker = working.enter_context(at_work(store, clock.seconds(clock.now())))
        except OSError as e:
            raise SpoolError(
                f"{address.url}: rows cannot be spooled there ({explained(e)}): nothing was published; look at the "
                "store and at what it lets us do, or set [run] spool to another one"
            ) from e
        prefix = _PARTS + marker.removeprefix(_MARKERS) + "/"
        try:
            yield StoreSpool(address, prefix)
        finally:
            # Whatever ended the run is what matters; the next run, or `pregen gc`, removes them then.
            with contextlib.suppress(OSError, StorageError):
                store.delete([one.name for one in store.list(prefix)])


def remove_abandoned(store: Store, *, is_dry: bool = False) -> list[ObjectInfo]:
    """Remove the parts of runs that have no marker which lives, and dead markers; return what went, or would go.

    Where the store does not say what its clock says, ours counts, as in cleanings of stores: clocks differ by a minute,
    and a marker is dead after hours.

    Raises:
        OSError, StorageError: the store does not answer, or does not let us.
    """
    parts = list(store.list(_PARTS))  # before the markers: a run puts its marker first
    markers = [one for one in store.list(_MARKERS) if MARKER_NAME.fullmatch(one.name)]
    if not parts and not markers:
        return []
    said = store.clock_s(may_write=not is_dry)
    now_s = clock.seconds(clock.now()) if said is None else said
    alive = {one.name.removeprefix(_MARKERS) for one in markers if is_alive(one, now_s)}
    gone = [one for one in parts if one.name.removeprefix(_PARTS).partition("/")[0] not in alive]
    gone += [one for one in markers if one.name.removeprefix(_MARKERS) not in alive]
    if not is_dry:
        store.delete([one.name for one in gone])
    return gone
