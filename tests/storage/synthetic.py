"""Stores of any size for tests of what lookups cost: many shards and overlays, whose signatures are not genuine."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregen.overlay_keys import put_overlay_keys
from pregen.routing_key import xxh64
from storage.certid import SHA1, CertID
from storage.commits import CommitTerms, Head, find_head, new_publisher, publish
from storage.key import KEY32, split
from storage.manifest import Manifest, Shard
from storage.pack import bucket_count, build_pack, pack_name
from storage.reader import Generation, open_reader
from storage.stores import Store
from storage.tables import Run, Tables, Window
from storage.windows import encode_windows, windows_name
from tests.storage.golden_store import VERSION_2, golden_store

START = 1_796_000_000
WINDOW = Window(produced_at=START, this_update=START - 3600, next_update=START + 300_000, refresh_by=START + 150_000)
SERIAL_BYTES = 16


class Synthetic:
    """Puts packs of certificates of one issuer into a store, and commits of them.

    Args:
        store: where to.
        seed: of serials.
    """

    def __init__(self, store: Store, seed: int = 1) -> None:
        golden = open_reader(golden_store(VERSION_2)).current
        assert golden is not None
        loaded = golden.tables[golden.manifest.shards[0].windows]
        self.store = store
        self.rng = np.random.default_rng(seed)
        self._tables: Tables = loaded.tables.lasting
        self.issuer = self._tables.issuers[0]
        shapes = {
            shape.status: at
            for at, shape in enumerate(self._tables.shapes)
            if shape.serial_bytes == SERIAL_BYTES and shape.known_answer.issuer == 0
        }
        self._shapes = [shapes["good"], shapes["revoked"]]
        self._tables_name = loaded.tables_name
        self._windows: dict[Window, str] = {}
        self._current = self._golden = golden
        store.put(self._tables_name, golden_store(VERSION_2).get(self._tables_name))

    def serials(self, count: int) -> NDArray[np.uint8]:
        """Return new serials, uint8[count, 16]: positive ones, in no order."""
        found = self.rng.integers(0, 256, (count, SERIAL_BYTES), np.uint8)
        found[:, 0] = found[:, 0] % 127 + 1
        return found

    def cert_id(self, serial: NDArray[np.uint8]) -> CertID:
        """Return what a client asks of a certificate."""
        return CertID(SHA1, self.issuer.name_hashes[SHA1], self.issuer.key_hashes[SHA1], serial.tobytes())

    def keys32(self, serials: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return the upper halves of the keys of serials."""
        return xxh64(serials, np.array([self.issuer.issuer_id], np.uint64)) >> np.uint64(32)

    def windows(self, window: Window = WINDOW) -> str:
        """Store windows with two runs, good and revoked; return their name."""
        if window not in self._windows:
            runs = tuple(Run(0, shape, 0) for shape in self._shapes)
            octets = encode_windows(replace(self._tables, windows=(window,), runs=runs), self._tables_name)
            self.store.put(windows_name(octets), octets)
            self._windows[window] = windows_name(octets)
        return self._windows[window]

    def packs(
        self,
        serials: NDArray[np.uint8],
        parts: int = 1,
        *,
        revoked: bool | NDArray[np.bool_] = False,
        window: Window = WINDOW,
    ) -> tuple[Shard, ...]:
        """Return stored packs that hold certificates, and all keys together; which are revoked, one for all or each."""
        keys, runs = self.keys32(serials), np.broadcast_to(np.asarray(revoked, np.uint8), len(serials))
        order = np.argsort(keys, kind="stable")
        serials, keys, runs = serials[order], keys[order], runs[order]
        bounds = split(0, KEY32, parts)
        ends = np.searchsorted(keys, np.array(bounds, np.uint64)).tolist()
        return tuple(
            self._pack(serials[start:end], keys[start:end], runs[start:end], (low, high), window)
            for (low, high), (start, end) in zip(pairwise(bounds), pairwise(ends), strict=True)
        )

    def _pack(
        self,
        serials: NDArray[np.uint8],
        keys: NDArray[np.uint64],
        runs: NDArray[np.uint8],
        bounds: tuple[int, int],
        window: Window,
    ) -> Shard:
        (low, high), identity = bounds, self.rng.bytes(16)
        stride = self._tables.shapes[self._shapes[0]].stride
        widest = self._tables.shapes[self._shapes[1]].stride
        buckets = bucket_count(len(serials) * stride)
        places = ((keys - np.uint64(low)) * np.uint64(buckets) // np.uint64(high - low)).astype(np.int64)
        blocks, segments = [], []
        for run, size in enumerate((stride, widest)):
            of = runs == run
            records = np.zeros((int(of.sum()), size), np.uint8)
            records[:, :SERIAL_BYTES] = serials[of]
            blocks.append(records.reshape(-1).data)
            ends = np.searchsorted(places[of], np.arange(buckets + 1)).tolist()
            segments += [
                (bucket, run, run, start * size, end * size, end - start)
                for bucket, (start, end) in enumerate(pairwise(ends))
                if end > start
            ]
        name = pack_name(low, identity)
        octets, directory_at, crc = build_pack(identity, buckets, sorted(segments), blocks, name)
        self.store.put(name, octets)
        return Shard(
            low=low,
            high=high,
            pack=name,
            size_bytes=len(octets),
            sha256=hashlib.sha256(octets).digest(),
            directory_at=directory_at,
            directory_crc=crc,
            windows=self.windows(window),
            rows=len(serials),
            revoked=int(runs.sum()),
            refresh_by=window.refresh_by,
            next_update=window.next_update,
            as_of=window.this_update,
        )

    def commit(
        self,
        shards: Sequence[Shard],
        overlays: Sequence[Shard] = (),
        *,
        kind: str = "run",
        with_keys: bool = True,
    ) -> Head:
        """Publish a generation after the newest one."""
        head = find_head(self.store)
        current = Generation(self.store, head, self._current) if head else self._golden
        self._current = current
        manifest = Manifest(
            profile="lab",
            shards=tuple(shards),
            overlays=tuple(overlays),
            counts={},
            gates={},
            overlay_keys=put_overlay_keys(self.store, overlays, current) if with_keys else None,
        )
        return self.commit_of(manifest, kind)

    def commit_of(self, manifest: Manifest, kind: str = "run") -> Head:
        """Publish a manifest as it is, after the newest one."""
        terms = CommitTerms(publisher=new_publisher(), as_of=START, started_at=START, kind=kind)
        return publish(self.store, find_head(self.store), manifest, terms)[0]
