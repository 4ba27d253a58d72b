"""`pregen verify`: is what is stored still what was published, and does it bear the right signatures?

Checksums are always checked for all packs and buckets; responses are parsed and their signatures verified for a sample
spread evenly over all of them, or for all. Trust comes from named certificates: a response is right if the issuer's key
signed it, or a responder that the issuer certified. Without named certificates those of the store itself are taken,
which shows damage but not fraud, and the report says so.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pregen import clock
from pregen.config import Config
from pregen.errors import Finding, VerificationError
from pregen.issuers.certificates import (
    EXTENDED_KEY_USAGE,
    OCSP_SIGNING,
    Certificate,
    parse_certificate,
    read_certificates,
    signed_with,
)
from pregen.verification import PublicKey, Statement, load_public_key, verify_response
from storage import key
from storage.certid import HASH_NAMES
from storage.errors import ChecksumError, NothingPublishedError
from storage.manifest import Shard
from storage.pack import open_pack, walk
from storage.reader import Generation, LoadedTables, open_reader
from storage.response import Assembler
from storage.stores import Store
from storage.tables import StoredIssuer, Window

Progress = Callable[[str, int, int], None]


class Trust:
    """The issuer certificates that verification starts from, by issuer id."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self.certificates = {key.issuer_id(one.subject, one.key_bits): one for one in certificates}

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> Self:
        """Trust the certificates of files."""
        return cls([one for path in paths for one in read_certificates(path)])

    @classmethod
    def of_config(cls, config: Config) -> Self:
        """Trust the issuer certificates of a configuration."""
        names = [name for section in config.issuer for name in section.certificates]
        return cls.of_files([config.resolve(name) for name in names])


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a verification found to be right.

    Attributes:
        commit: number of the commit.
        shards: packs read, overlays included; every checksum was checked.
        records: certificates found in them.
        verified: responses parsed and verified.
        trusted: whether trust came from named certificates.
        warnings: what is allowed, but unusual.
    """

    commit: int
    shards: int
    records: int
    verified: int
    trusted: bool
    warnings: tuple[Finding, ...]


def verify_store(store: Store, trust: Trust | None, sample: int | None, progress: Progress) -> Audit:
    """Check the current generation of a store.

    Args:
        store: where it is.
        trust: whom to trust; None takes the store's own certificates.
        sample: how many certificates to verify; None verifies all.
        progress: told about packs read.

    Raises:
        VerificationError: a response is not what it must be.
        StorageError, OSError: the store is empty or damaged, or does not answer.
    """
    reader = open_reader(store)
    generation = reader.current
    if generation is None:
        raise NothingPublishedError(store.url)
    shards = [*generation.manifest.overlays, *generation.manifest.shards]
    total = sum(shard.rows for shard in shards)
    every = 1 if sample is None else max(1, total // sample) if sample else None
    auditor = _Auditor(generation, trust, every)
    for shard in shards:
        auditor.shard(store, shard)
        progress("read", auditor.records, total)
    return Audit(
        commit=generation.commit.number,
        shards=len(shards),
        records=auditor.records,
        verified=auditor.verified,
        trusted=trust is not None,
        warnings=tuple(_warnings(generation, trust)),
    )


class _Auditor:
    """Reads packs, counts records, and verifies every n-th."""

    def __init__(self, generation: Generation, trust: Trust | None, every: int | None) -> None:
        self.records = self.verified = 0
        self._generation = generation
        self._trust = trust
        self._every = every
        self._keys: dict[tuple[str, int], PublicKey] = {}
        self._assemblers: dict[tuple[str, int, int], Assembler] = {}

    def shard(self, store: Store, shard: Shard) -> None:
        """Check one pack."""
        octets = store.get(shard.pack)
        if len(octets) != shard.size_bytes or hashlib.sha256(octets).digest() != shard.sha256:
            raise ChecksumError(shard.pack, "its octets are not the ones that the manifest names")
        pack = open_pack(shard.pack, octets, shard.directory_at, shard.directory_crc)
        loaded = self._generation.tables[shard.tables]
        before = self.records
        for bucket in range(pack.buckets):
            for run, start, count, content in walk(pack, bucket, loaded.strides):
                stride = loaded.strides[run]
                for at in self._sample(count):
                    self._record(loaded, run, content[start + at * stride : start + (at + 1) * stride])
                self.records += count
        if self.records - before != shard.rows:
            raise VerificationError(
                f"{shard.pack} holds {self.records - before:,} records where its manifest says {shard.rows:,}"
            )

    def _sample(self, count: int) -> range:
        """Return which of the next records are verified: every n-th of the whole generation."""
        return range(-self.records % self._every, count, self._every) if self._every else range(0)

    def _record(self, loaded: LoadedTables, run: int, record: bytes) -> None:
        tables = loaded.tables
        issuer, shape, window = (
            tables.issuers[tables.runs[run].issuer],
            tables.shapes[tables.runs[run].shape],
            tables.windows[tables.runs[run].window],
        )
        public_key = self._key(loaded.name, tables.runs[run].issuer, issuer)
        for which, response in enumerate(shape.responses):
            assembler = self._assemblers.get((loaded.name, run, which))
            if assembler is None:
                assembler = Assembler(loaded.name, tables, tables.runs[run], which)
                self._assemblers[loaded.name, run, which] = assembler
            meant = _meant(issuer, shape.status, shape.fields, window, response.hashes[0], record, shape.serial_bytes)
            try:
                verify_response(assembler.response(record), meant, public_key)
            except VerificationError as e:
                serial = f"{meant.serial_number:x} of {issuer.names[0]}"
                raise VerificationError(f"the stored response to serial {serial} is wrong: {e.message}") from e
            self.verified += 1

    def _key(self, name: str, index: int, issuer: StoredIssuer) -> PublicKey:
        if (name, index) not in self._keys:
            self._keys[name, index] = responder_key(issuer, self._trust)
        return self._keys[name, index]


def responder_key(issuer: StoredIssuer, trust: Trust | None) -> PublicKey:
    """Return the key that must have signed an issuer's responses.

    Raises:
        VerificationError: the issuer is not among those that are trusted, or did not certify its responder.
    """
    stored = Path(f"certificate of {issuer.names[0]} in the store")
    try:
        return _responder_key(issuer, trust, stored)
    except ValueError as e:
        raise VerificationError(f"{stored} cannot be read: {e}") from e


def _responder_key(issuer: StoredIssuer, trust: Trust | None, stored: Path) -> PublicKey:
    if trust is None:
        trust = Trust([parse_certificate(stored, der) for der in issuer.certificates])
    authority = trust.certificates.get(issuer.issuer_id)
    if authority is None:
        raise VerificationError(
            f"the store answers for {issuer.names[0]}, whose certificate is not among the trusted ones: name it too"
        )
    _check_hashes(issuer, authority)
    if issuer.responder_certificate is None:
        return load_public_key(authority.public_key)
    responder = parse_certificate(stored, issuer.responder_certificate)
    if not signed_with(responder, authority.load_public_key()):
        raise VerificationError(f"the responder's certificate of {issuer.names[0]} is not signed by its issuer")
    usage = responder.extensions.get(EXTENDED_KEY_USAGE)
    if usage is None or OCSP_SIGNING not in usage.names:
        raise VerificationError(f"the responder's certificate of {issuer.names[0]} is not one for OCSP signing")
    return load_public_key(responder.public_key)


def _check_hashes(issuer: StoredIssuer, authority: Certificate) -> None:
    """Refuse CertID hashes that are not those of the issuer's name and key: its clients would never match them."""
    for octets, hashes in ((authority.subject, issuer.name_hashes), (authority.key_bits, issuer.key_hashes)):
        for oid, stored in hashes.items():
            if stored != _digest(oid, octets):
                name = HASH_NAMES.get(oid, oid)
                raise VerificationError(f"the store has a {name} hash of {issuer.names[0]} that is not the issuer's")


def _digest(oid: str, octets: bytes) -> bytes | None:
    name = HASH_NAMES.get(oid)
    return hashlib.new(name, octets, usedforsecurity=False).digest() if name else None


def _meant(
    issuer: StoredIssuer,
    status: str,
    fields: Sequence[str],
    window: Window,
    hash_oid: str,
    record: bytes,
    serial_bytes: int,
) -> Statement:
    revoked_at = int.from_bytes(record[serial_bytes : serial_bytes + 4], "little") if "revoked_at" in fields else None
    return Statement(
        hash_oid=hash_oid,
        issuer_name_hash=issuer.name_hashes[hash_oid],
        issuer_key_hash=issuer.key_hashes[hash_oid],
        serial_number=int.from_bytes(record[:serial_bytes], "big", signed=True),
        status=status,
        revoked_at=revoked_at,
        reason=record[serial_bytes + 4] if "reason" in fields else None,
        produced_at=window.produced_at,
        this_update=window.this_update,
        next_update=window.next_update,
    )


def _warnings(generation: Generation, trust: Trust | None) -> Iterator[Finding]:
    if trust is None:
        text = (
            "trust came from the store's own certificates: name them by --issuer or --config to notice a forged store"
        )
        yield Finding("verify.trust", "warning", text)
    now = clock.seconds(clock.now())
    windows = [window for loaded in generation.tables.values() for window in loaded.tables.windows]
    if any(window.next_update < now for window in windows):
        yield Finding("verify.expired", "warning", "there are responses whose window has ended: run pregen run")
    elif any(window.refresh_by < now for window in windows):
        yield Finding("verify.due", "warning", "there are responses that should have been replaced: run pregen run")
    if any(window.this_update > window.produced_at for window in windows):
        yield Finding("verify.order", "warning", "there are responses that begin before they were produced")
