"""`pregen verify`: is what is stored still what was published, and does it bear the right signatures?

Always checked, for all packs: the checksums, that each record lies where an edge looks for it, that no certificate is
there twice, and what the manifest says of them (placement.py). Responses are parsed and their signatures verified for
all, or for a random sample spread over all of them: whoever forges a store must not know which.

Trust comes from named certificates (trust.py): a response is right if the issuer's key signed it, or a responder that
the issuer certified. Without named certificates those of the store itself are taken, which shows damage but not fraud,
and the report says so.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pregen import clock
from pregen.audit.histories import check_past
from pregen.audit.overlays import check_overlays
from pregen.audit.placement import RunRecords, check_places, check_shard
from pregen.audit.trust import Trust, TrustedSigner, responder_of
from pregen.errors import MAX_EXAMPLES, Finding, VerificationError
from pregen.progress import Progress
from pregen.signers import Algorithm, algorithm_of
from pregen.verification import Statement, verify_response
from storage.certid import serial_text
from storage.commits import ROLLBACK, Commit, commit_name, decode_commit, read_commit
from storage.errors import ChecksumError, FormatError, NothingPublishedError
from storage.freshness import Freshness, FreshnessState
from storage.manifest import Contents, Shard, read_manifest
from storage.pack import open_pack, walk
from storage.reader import Generation, LoadedTables, open_reader
from storage.response import Assembler
from storage.stores import Store
from storage.tables import ResponseShape, Shape, StoredIssuer, Window

_LOOKED_BACK = 100  # commits, for answers that were published anew
_STALE = {
    "expired": ("verify.expired", "there are responses whose window has ended: run pregen run"),
    "overdue": ("verify.due", "there are responses that should have been replaced: run pregen run"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a verification found to be right.

    Attributes:
        commit: number of the commit.
        shards: packs read, overlays included; every checksum was checked.
        parts: of the history that the next run's gates need, likewise.
        contents: how much they hold, certificates and records of overlays apart, as it was found in them.
        verified: responses parsed and verified.
        trusted: whether trust came from named certificates.
        freshness: until when its answers hold.
        state: how they stand.
        warnings: what is allowed, but unusual.
        generation: that was verified.
    """

    commit: int
    shards: int
    parts: int
    contents: Contents
    verified: int
    trusted: bool
    freshness: Freshness
    state: FreshnessState
    warnings: tuple[Finding, ...]
    generation: Generation


def verify_store(
    store: Store,
    trust: Trust | None,
    sample: int | None,
    progress: Progress,
    tell_commit: Callable[[Commit], None] = lambda _: None,
) -> Audit:
    """Check the current generation of a store.

    Args:
        store: where it is.
        trust: whom to trust; None takes the store's own certificates.
        sample: how many certificates to verify; None verifies all.
        progress: told about packs read.
        tell_commit: told which commit that is, before it is verified.

    Raises:
        VerificationError: a response is not what it must be.
        StorageError, OSError: the store is empty or damaged, or does not answer.
    """
    reader = open_reader(store)
    generation = reader.current
    if generation is None:
        raise NothingPublishedError(store.url)
    tell_commit(generation.commit)
    shards = generation.manifest.searched
    total = sum(shard.rows for shard in shards)
    every = 1 if sample is None else -(-total // sample) if sample else None
    auditor = _Auditor(generation, trust, every)
    for shard in shards:
        auditor.shard(store, shard)
        progress("read", auditor.records, total)
    _check_counts(generation)
    return Audit(
        commit=generation.commit.number,
        shards=len(shards),
        parts=check_past(store, generation) + check_overlays(store, generation),
        contents=generation.manifest.contents,  # each pack was found to hold what that says
        verified=auditor.verified,
        trusted=trust is not None,
        freshness=generation.freshness,
        state=generation.freshness.state(clock.seconds(clock.now())),
        warnings=(*_warnings(generation, trust), *_history(store, generation)),
        generation=generation,
    )


class _Auditor:
    """Reads packs, counts records, checks where they lie, and verifies one of every n."""

    def __init__(self, generation: Generation, trust: Trust | None, every: int | None) -> None:
        self.records = self.verified = 0
        self._generation = generation
        self._trust = trust
        self._every = every
        self._chosen = 0 if every is None else secrets.randbelow(every)  # the next record to be verified
        self._signers: dict[tuple[str, int], TrustedSigner] = {}
        self._assemblers: dict[tuple[str, int, int], Assembler] = {}

    def shard(self, store: Store, shard: Shard) -> None:
        """Check one pack."""
        octets = store.get(shard.pack)
        if len(octets) != shard.size_bytes or hashlib.sha256(octets).digest() != shard.sha256:
            raise ChecksumError(shard.pack, "its octets are not the ones that the manifest names")
        pack = open_pack(shard.pack, octets, shard.directory_at, shard.directory_crc)
        loaded = self._generation.tables[shard.windows]
        blocks: dict[int, RunRecords] = {}
        for bucket in range(pack.buckets):
            for run, start, count, content in walk(pack, bucket, loaded.strides):
                stride = loaded.strides[run]
                for at in self._sample(count):
                    self._record(loaded, run, content[start + at * stride : start + (at + 1) * stride])
                blocks.setdefault(run, RunRecords()).add(bucket, count, content[start : start + count * stride])
                self.records += count
        check_places(shard, pack.buckets, loaded, blocks)
        check_shard(shard, loaded, {run: block.records for run, block in blocks.items()})

    def _sample(self, count: int) -> Iterator[int]:
        """Yield which of the next records are verified: a random one of every n of the whole generation."""
        if self._every is None:
            return
        while self._chosen < self.records + count:
            yield self._chosen - self.records
            self._chosen += self._every - self._chosen % self._every + secrets.randbelow(self._every)

    def _record(self, loaded: LoadedTables, run: int, record: bytes) -> None:
        tables = loaded.tables
        issuer, shape, window = (
            tables.issuers[tables.runs[run].issuer],
            tables.shapes[tables.runs[run].shape],
            tables.windows[tables.runs[run].window],
        )
        signer = self._signer(loaded.name, tables.runs[run].issuer, issuer)
        if window.produced_at < signer.not_before or window.next_update > signer.not_after:
            raise VerificationError(
                f"the stored responses of {issuer.label} outlive the certificate of their responder, which ends at "
                f"{clock.text(signer.not_after)}, or were made before it was valid: clients refuse them"
            )
        for which, response in enumerate(shape.responses):
            assembler = self._assemblers.get((loaded.name, run, which))
            if assembler is None:
                assembler = Assembler(loaded.name, tables, tables.runs[run], which)
                self._assemblers[loaded.name, run, which] = assembler
            algorithm = _algorithm(issuer, response)
            meant = [_meant(issuer, shape, window, oid, record) for oid in response.hashes]
            try:
                verify_response(assembler.response(record), meant, signer.key, algorithm)
            except VerificationError as e:
                serial = f"{serial_text(record[: shape.serial_bytes])} of {issuer.label}"
                raise VerificationError(f"the stored response to serial {serial} is wrong: {e.message}") from e
            self.verified += 1

    def _signer(self, name: str, index: int, issuer: StoredIssuer) -> TrustedSigner:
        if (name, index) not in self._signers:
            self._signers[name, index] = responder_of(issuer, self._trust)
        return self._signers[name, index]


def _check_counts(generation: Generation) -> None:
    """Refuse a manifest whose shards, each as it was found, do not make the number of certificates that it says."""
    rows = sum(shard.rows for shard in generation.manifest.shards)
    said = generation.manifest.counts.get("certificates", rows)
    if said != rows:
        raise VerificationError(
            f"the manifest says that {said} certificates were published, but its shards hold {rows:,}: "
            "some are lost, or not from that run"
        )


def _algorithm(issuer: StoredIssuer, response: ResponseShape) -> Algorithm:
    if algorithm := algorithm_of(response.algorithm, response.signature_bytes):
        return algorithm
    raise VerificationError(
        f"the store has responses of {issuer.label} by an unknown algorithm: signatures of {response.signature_bytes} "
        f"octets under the identifier {response.algorithm.hex()}, which this version of pregen does not sign with"
    )


def _meant(issuer: StoredIssuer, shape: Shape, window: Window, hash_oid: str, record: bytes) -> Statement:
    if hash_oid not in issuer.name_hashes:
        raise VerificationError(f"the store has responses of {issuer.label} for the hash {hash_oid}, but no such hash")
    size, fields = shape.serial_bytes, shape.fields
    return Statement(
        hash_oid=hash_oid,
        issuer_name_hash=issuer.name_hashes[hash_oid],
        issuer_key_hash=issuer.key_hashes[hash_oid],
        serial_number=int.from_bytes(record[:size], "big", signed=True),
        status=shape.status,
        revoked_at=int.from_bytes(record[size : size + 4], "little") if "revoked_at" in fields else None,
        reason=record[size + 4] if "reason" in fields else None,
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
    fresh = generation.freshness
    if (state := fresh.state(now)) != "fresh":
        late = [f"{one.label}: {one.state(now)}" for one in fresh.issuers if one.state(now) != "fresh"]
        code, text = _STALE[state]
        yield Finding(code, "warning", text, max(len(late), 1), tuple(late[:MAX_EXAMPLES]))
    if any(window.this_update > window.produced_at for window in windows):
        yield Finding("verify.order", "warning", "there are responses that begin before they were produced")


def _history(store: Store, generation: Generation) -> Iterator[Finding]:
    """Yield what is odd about how the current commit came: publishers of this version never do such a thing."""
    commit = generation.commit
    if commit.kind != ROLLBACK and _has_old_answers(store, generation):
        text = (
            f"commit {commit.number} has responses of an earlier one that the one before it did not have: somebody may "
            "have published old ones anew, from before a revocation; look with pregen history, then run pregen run"
        )
        yield Finding("verify.old-answers", "warning", text)
    if commit.number == 1:
        return
    name = commit_name(commit.number - 1)
    try:
        before = store.get(name)
    except FileNotFoundError:
        yield Finding("verify.log", "warning", f"{name} is lost, but commits are never to be deleted: restore it")
        return
    if hashlib.sha256(before).digest() != commit.parent:
        text = f"{name} is not the one that commit {commit.number} follows: it is damaged, or the log was rewritten"
        yield Finding("verify.log", "warning", text)
    elif commit.kind != ROLLBACK and decode_commit(commit.number - 1, before).commit.as_of > commit.as_of:
        text = f"commit {commit.number} is of an older snapshot than {name}: it may take back revocations"
        yield Finding("verify.rollback", "warning", text)


def _has_old_answers(store: Store, generation: Generation) -> bool:
    """Tell whether a commit names windows that an earlier one had, and the one just before it had not any more."""
    commit = generation.commit
    own = {
        name
        for name, loaded in generation.tables.items()
        if all(window.produced_at != commit.started_at for window in loaded.tables.windows)
    }
    for number in range(commit.number - 1, max(commit.number - _LOOKED_BACK, 0), -1):
        if not own:
            return False
        named = _windows_named(store, number)
        if number < commit.number - 1 and own & named:
            return True
        if number == commit.number - 1:
            own -= named
    return False


def _windows_named(store: Store, number: int) -> frozenset[str]:
    """Return the windows that an earlier commit names, as far as that can be read still."""
    try:
        found = read_commit(store, number)
        manifest = read_manifest(store, found.commit.manifest) if found else None
    except (FileNotFoundError, FormatError):
        return frozenset()
    return frozenset(one.windows for one in manifest.searched) if manifest else frozenset()
