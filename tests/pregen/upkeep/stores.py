"""A store in memory whose clock is set by hand, and generations that name what real ones name."""

import dataclasses
import secrets
from itertools import pairwise

from pregen.upkeep.named_objects import Naming
from storage.commits import CommitTerms, Head, find_head, new_publisher, publish, read_commit
from storage.history import HistoryIndex, HistoryPart, encode_index
from storage.manifest import Manifest, Shard, read_manifest
from storage.stores import Store
from storage.stores.memory import MemoryStore
from tests.fakes import FlakyStore

NOW = 2_000_000_000
HOUR, DAY = 3_600, 86_400


class DatedStore(MemoryStore):
    """A store in memory whose clock is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = float(NOW)

    def _write(self, name: str, data: bytes | bytearray | memoryview) -> None:
        super()._write(name, data)
        self._written_s[name] = self.now_s

    def clock_s(self, *, may_write: bool = True) -> float | None:
        del may_write
        return self.now_s

    def age(self, seconds: float) -> None:
        self.now_s += seconds


class OvertakenStore(FlakyStore):
    """Lets somebody else commit just before each of the first commits of its user."""

    def __init__(self, inner: Store, times: int) -> None:
        super().__init__(inner)
        self.times = times

    def put_if_absent(self, name: str, data: bytes) -> None:
        if self.times and name.startswith("commits/"):
            self.times -= 1
            generation(self.inner, "delta", keeps=manifest_of(self.inner))
        super().put_if_absent(name, data)


def put(store: Store, folder: str, octets: bytes = b"x") -> str:
    """Put something that looks like an object of its folder; return its name."""
    identity = secrets.token_hex(16)
    name = {
        "packs": f"packs/00000000-{identity}",
        "history": f"history/{identity}",
        "runs": f"runs/{identity}",
        "probes": f"probes/{identity}",
    }.get(folder, f"{folder}/{identity * 2}")
    store.put(name, octets)
    return name


def windows(store: Store) -> str:
    name = f"windows/{secrets.token_hex(32)}"
    store.put(name, f'{{"tables":"{put(store, "tables")}"}}'.encode())
    return name


def pack(store: Store, tables: str) -> Shard:
    return Shard(
        low=0,
        high=1 << 32,
        pack=put(store, "packs"),
        size_bytes=1,
        sha256=bytes(32),
        directory_at=0,
        directory_crc=0,
        windows=tables,
        rows=1,
        revoked=0,
        refresh_by=NOW,
        next_update=NOW,
    )


def generation(
    store: Store, kind: str = "run", *, keeps: Manifest | None = None, overlays: int = 0, shards: int = 1
) -> Head:
    """Publish a generation; `keeps` has shards of an earlier one."""
    tables = windows(store)
    bounds = [number * (1 << 32) // shards for number in range(shards + 1)]
    made = tuple(dataclasses.replace(pack(store, tables), low=low, high=high) for low, high in pairwise(bounds))
    parts = tuple(
        HistoryPart(low=one.low, high=one.high, name=put(store, "history"), rows=1, size_bytes=1, crc=0) for one in made
    )
    history, octets = encode_index(HistoryIndex(as_of=0, parts=parts, issuers={}, witnesses=b"", anchored=()))
    store.put(history, octets)
    manifest = Manifest(
        profile="",
        shards=keeps.shards if keeps else made,
        overlays=tuple(pack(store, windows(store)) for _ in range(overlays)),
        counts={},
        gates={},
        history=history,
        overlay_keys=put(store, "keys") if overlays else None,
    )
    terms = CommitTerms(publisher=new_publisher(), as_of=NOW, started_at=NOW, kind=kind)
    return publish(store, find_head(store), manifest, terms)[0]


def manifest_of(store: Store, number: int | None = None) -> Manifest:
    """Return the manifest of a commit, by default of the newest."""
    head = find_head(store) if number is None else read_commit(store, number)
    assert head is not None
    return read_manifest(store, head.commit.manifest)


def names(store: Store) -> set[str]:
    """Return the names of all objects."""
    return {info.name for info in store.list()}


def named(store: Store, *commits: int) -> set[str]:
    """Return all that commits name."""
    heads = [read_commit(store, number) for number in commits]
    return set().union(*(Naming(store).of(head.commit) for head in heads if head is not None))


def assert_whole(store: Store, *commits: int) -> None:
    """All that commits name is there."""
    assert named(store, *commits) <= names(store)
