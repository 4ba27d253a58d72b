"""A CertID becomes the DER of its response: the newest generation, loaded and checked, one ranged read a lookup."""

from bisect import bisect_right
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property, partial
from typing import NamedTuple

from storage.certid import CertID
from storage.commits import Commit, Head, check_readable, find_head
from storage.errors import NothingPublishedError, TruncatedError
from storage.freshness import Freshness, freshness_of
from storage.key import key32, part_of
from storage.manifest import Manifest, Shard, read_manifest
from storage.overlay_keys import OverlayKeys, read_overlay_keys
from storage.pack import PackReader, find
from storage.response import Assembler, check_known_answers
from storage.stores.base import ReadableStore
from storage.tables import Tables, Window
from storage.windows import read_tables

_NO_RUNS: AbstractSet[int] = frozenset()


class Answer(NamedTuple):
    """A response as it is to be served; times are seconds since 1970.

    Attributes:
        der: the OCSPResponse.
        status: ``good``, ``revoked`` or ``unknown``.
        produced_at: when it was signed.
        this_update: from when it may be served.
        next_update: until when, inclusive.
        refresh_by: when a newer one is due at the latest.
        generation: number of the commit that it comes from.
    """

    der: bytes
    status: str
    produced_at: int
    this_update: int
    next_update: int
    refresh_by: int
    generation: int


class Way(NamedTuple):
    """From a record to an answer: what makes the response, and what is known of it beforehand."""

    assembler: Assembler
    status: str
    window: Window


class LoadedTables:
    """Tables with their windows and runs, proven by their known answers, with what lookups need computed once.

    Nothing is added by lookups, so that no client can make it grow, and a template that does not fit an issuer is found
    here and not by the issuer's clients.

    Attributes:
        name: what the shards of a manifest name: the windows, or tables of version 1.
        tables_name: of the tables alone, which several windows may share.
        tables: all of it.
    """

    def __init__(self, name: str, tables: Tables, tables_name: str | None = None, *, is_proven: bool = False) -> None:
        self.name = name
        self.tables_name = tables_name or name
        if not is_proven:
            check_known_answers(self.tables_name, tables)
        self.tables = tables
        self.strides = [tables.shapes[run.shape].stride for run in tables.runs]
        self._wanted: dict[tuple[int, int], set[int]] = {}
        self._ways: dict[tuple[int, str], Way] = {}
        for number, run in enumerate(tables.runs):
            issuer, shape = tables.issuers[run.issuer], tables.shapes[run.shape]
            self._wanted.setdefault((issuer.issuer_id, shape.serial_bytes), set()).add(number)
            for which, response in enumerate(shape.responses):
                way = Way(Assembler(name, tables, run, which), shape.status, tables.windows[run.window])
                self._ways.update(((number, oid), way) for oid in response.hashes)

    def wanted(self, issuer_id: int, serial_bytes: int) -> AbstractSet[int]:
        """Return the numbers of the runs that may hold a certificate of this issuer and serial length."""
        return self._wanted.get((issuer_id, serial_bytes), _NO_RUNS)

    def way(self, run: int, hash_oid: str) -> Way | None:
        """Return how the response that answers a CertID hash is made; None where the run has none for it."""
        return self._ways.get((run, hash_oid))


def load_tables(store: ReadableStore, name: str, proven: Mapping[str, Tables] | None = None) -> LoadedTables:
    """Return tables that reproduce their known answers, with their windows and runs.

    Args:
        store: where they are.
        name: what the shards of a manifest name.
        proven: tables, by their own names, that have been loaded already.

    Raises:
        FormatError: they do not, or are damaged.
        FileNotFoundError: they were removed.
    """
    tables_name, tables = read_tables(store, name, proven)
    return LoadedTables(name, tables, tables_name, is_proven=tables_name in (proven or {}))


def load_pack(store: ReadableStore, shard: Shard) -> PackReader:
    """Return a reader of a shard's pack; one ranged read, for its directory.

    Raises:
        FormatError: it is damaged.
        FileNotFoundError: it was removed.
    """
    name, at = shard.pack, shard.directory_at
    try:
        directory = store.get_range(name, at, shard.size_bytes - at)
    except EOFError as e:
        raise TruncatedError(name, f"is shorter than the {shard.size_bytes} octets of its manifest") from e
    return PackReader(name, shard.size_bytes, directory, at, shard.directory_crc, partial(store.get_range, name))


class Generation:
    """One commit with its manifest and tables; directories are read when first needed. Threads may share it."""

    def __init__(self, store: ReadableStore, head: Head, older: "Generation | None" = None) -> None:
        check_readable(head.commit)
        self.head = head
        self.manifest: Manifest = read_manifest(store, head.commit.manifest).dated(head.commit.as_of)
        self._store = store
        kept = older.tables if older else {}
        searched = self.manifest.searched
        proven = {loaded.tables_name: loaded.tables for loaded in kept.values()}
        self.tables: dict[str, LoadedTables] = {}
        for name in dict.fromkeys(one.windows for one in searched):
            # Names are hashes of what they name: what was proven under one need not be read or proven again.
            loaded = self.tables[name] = kept.get(name) or load_tables(store, name, proven)
            proven[loaded.tables_name] = loaded.tables
        packs = {one.pack for one in searched}
        self.packs: dict[str, PackReader] = {
            name: pack for name, pack in (older.packs if older else {}).items() if name in packs
        }
        self.overlay_keys = self._read_overlay_keys(older)
        self._packs_of_overlays = len(self.manifest.overlays)
        self._lows = [shard.low for shard in self.manifest.shards]
        self._issuers: dict[tuple[str, bytes, bytes], int] = {}
        for loaded in self.tables.values():
            for issuer in loaded.tables.issuers:
                for oid, name_hash in issuer.name_hashes.items():
                    self._issuers[oid, name_hash, issuer.key_hashes[oid]] = issuer.issuer_id

    def _read_overlay_keys(self, older: "Generation | None") -> OverlayKeys | None:
        name = self.manifest.overlay_keys
        if name is None:
            return None
        if older and (older.manifest.overlay_keys, older.manifest.overlays) == (name, self.manifest.overlays):
            return older.overlay_keys
        return read_overlay_keys(self._store, name, len(self.manifest.overlays))

    @property
    def commit(self) -> Commit:
        """The commit that made this generation."""
        return self.head.commit

    @cached_property
    def freshness(self) -> Freshness:
        """Until when its answers hold."""
        return freshness_of(self.manifest, {name: loaded.tables for name, loaded in self.tables.items()})

    @cached_property
    def issuers(self) -> dict[tuple[str, bytes, bytes], str]:
        """The labels of its issuers, by the first three members of a CertID."""
        labels = {one.issuer_id: one.label for loaded in self.tables.values() for one in loaded.tables.issuers}
        return {named: labels[issuer_id] for named, issuer_id in self._issuers.items()}

    def pack(self, shard: Shard) -> PackReader:
        """Return the reader of a shard's pack, its directory read now or before."""
        pack = self.packs.get(shard.pack)
        if pack is None:
            pack = self.packs[shard.pack] = load_pack(self._store, shard)
        return pack

    def lookup(self, cert_id: CertID) -> Answer | None:
        """Return the answer for a CertID, or None where this store is not authoritative for it.

        Raises:
            FormatError: what should hold the answer is damaged.
            OSError: the store does not answer.
        """
        oid, name_hash, key_hash, serial = cert_id
        issuer_id = self._issuers.get((oid, name_hash, key_hash))
        if issuer_id is None:
            return None
        key = key32(serial, issuer_id)
        if self._packs_of_overlays and (self.overlay_keys is None or self.overlay_keys.may_have(key)):
            found, answer = self._in_overlays(key, issuer_id, serial, oid)
            if found:
                return answer
        shard = self.manifest.shards[bisect_right(self._lows, key) - 1]  # shards hold every key once
        return self._find(shard, key, issuer_id, serial, oid)[1]

    def urgent(self, cert_id: CertID) -> tuple[bool, Answer | None]:
        """Tell whether the overlays hold a certificate, and its answer, where its record has one for that hash.

        Raises:
            FormatError, OSError: see `lookup`.
        """
        oid, name_hash, key_hash, serial = cert_id
        issuer_id = self._issuers.get((oid, name_hash, key_hash))
        if issuer_id is None:
            return False, None
        return self._in_overlays(key32(serial, issuer_id), issuer_id, serial, oid)

    def _in_overlays(self, key: int, issuer_id: int, serial: bytes, oid: str) -> tuple[bool, Answer | None]:
        first = 0 if self.overlay_keys is None else self.overlay_keys.first(key)
        # Mostly none is looked into; the older ones too where another certificate has that key.
        for number in range(first, self._packs_of_overlays):
            overlay = self.manifest.overlays[number]
            found, answer = self._find(overlay, key, issuer_id, serial, oid)
            if found:
                return True, answer
        return False, None

    def _find(self, shard: Shard, key: int, issuer_id: int, serial: bytes, hash_oid: str) -> tuple[bool, Answer | None]:
        """Tell whether a shard holds the certificate, and its answer, where the record has one for that hash."""
        if not shard.low <= key < shard.high:
            return False, None
        loaded = self.tables[shard.windows]
        wanted = loaded.wanted(issuer_id, len(serial))
        if not wanted:  # strangers' serials are mostly of lengths that an issuer does not use: they cost no read
            return False, None
        pack = self.pack(shard)
        hit = find(pack, part_of(key, shard.low, shard.high, pack.buckets), serial, loaded.strides, wanted)
        if hit is None:
            return False, None
        run, record = hit
        way = loaded.way(run, hash_oid)
        if way is None:  # a hit all the same: an older pack may say what is no longer true (FORMAT.md, section 9)
            return True, None
        assembler, status, window = way
        return True, Answer(
            assembler.response(record),
            status,
            window.produced_at,
            window.this_update,
            window.next_update,
            window.refresh_by,
            self.head.commit.number,
        )


class Reader:
    """The newest generation of a store; `refresh` swaps to a newer one only after that one checks out."""

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._current: Generation | None = None

    @property
    def current(self) -> Generation | None:
        """The generation that lookups use; None before the first successful refresh."""
        return self._current

    @property
    def generation(self) -> int | None:
        """Number of the commit that lookups use."""
        return self._current.commit.number if self._current else None

    @property
    def freshness(self) -> Freshness | None:
        """Until when the answers of what is loaded hold."""
        return self._current.freshness if self._current else None

    def refresh(self) -> bool:
        """Load the newest commit; tell whether it is another than before.

        Raises:
            NothingPublishedError: there is no commit.
            UpgradeNeededError: the newest commit is for newer readers; the old generation stays.
            FormatError: it is damaged; the old generation stays.
            OSError: the store does not answer; the old generation stays.
        """
        current = self._current
        head = find_head(self._store, current.head if current else None)
        if head is None:
            raise NothingPublishedError(self._store.url)
        if current and head is current.head:
            return False
        self._current = Generation(self._store, head, current)
        return True

    def lookup(self, cert_id: CertID) -> Answer | None:
        """Return the answer for a CertID, or None where this store is not authoritative for it.

        Raises:
            NothingPublishedError: no generation is loaded yet.
            FormatError: what should hold the answer is damaged.
            OSError: the store does not answer.
        """
        if self._current is None:
            raise NothingPublishedError(self._store.url)
        return self._current.lookup(cert_id)


def open_reader(store: ReadableStore) -> Reader:
    """Return a reader whose generation is loaded.

    Raises:
        NothingPublishedError, UpgradeNeededError, FormatError, OSError: see `Reader.refresh`.
    """
    reader = Reader(store)
    reader.refresh()
    return reader
