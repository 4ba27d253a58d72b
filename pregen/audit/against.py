"""`pregen verify --against`: does what is published say what a snapshot says, of each of its certificates?

The snapshot is read as a run reads it, and held against the records of the current generation, range by range of keys.
Every certificate of it must have its answers with the right status, and nothing else may be answered good. What an
urgent change says and the snapshot does not yet know is right by the order of truth, and so is a certificate that an
urgent change has brought, until a snapshot has it or a run is told by name that it is gone; both are counted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.config import Config
from pregen.errors import MAX_EXAMPLES, Finding, VerificationError
from pregen.gates.comparison import RememberedStatus
from pregen.generation import RunOptions
from pregen.generation.preparation import opened_snapshot
from pregen.generation.rows.groups import STATUS_OF_KIND
from pregen.generation.rows.routing import route
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.rows.spool import Spool
from pregen.generation.rows.spooling import open_spool
from pregen.generation.work.steps import Steps
from pregen.issuers import Issuer, load_issuers
from pregen.overlays.entries import Entries, Origin, order_of, paired
from pregen.overlays.order import RowsSay, resolve
from pregen.progress import Progress
from pregen.reasons import CERTIFICATE_HOLD
from pregen.snapshot import Snapshot, StatusBatch
from pregen.snapshot.rows import Mask
from pregen.upkeep.views import View, Viewer
from storage.certid import MAX_SERIAL_BYTES, serial_text
from storage.history import REMEMBERED_STATUSES
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32
from storage.reader import Generation
from storage.stores import Store


@dataclass(slots=True)
class Against:
    """What came of holding a generation against a snapshot.

    Attributes:
        as_of: for which instant the snapshot is complete, in seconds since 1970.
        rows_in: rows read.
        certificates: of the snapshot, that are to have answers.
        ahead: of these, what urgent changes say otherwise, rightly.
        alone: that are answered good by urgent changes alone, rightly, and that the snapshot lacks.
        counts: what is wrong, by code.
        examples: of that, by code.
    """

    as_of: int
    rows_in: int = 0
    certificates: int = 0
    ahead: int = 0
    alone: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(
        self, code: str, entries: Entries, mask: Mask, labels: Mapping[int, str], how: Callable[[int], str]
    ) -> None:
        """Count what is wrong, with some examples."""
        if not mask.any():
            return
        self.counts[code] = self.counts.get(code, 0) + int(mask.sum())
        examples = self.examples.setdefault(code, [])
        for place in np.flatnonzero(mask)[: MAX_EXAMPLES - len(examples)].tolist():
            whose = labels.get(int(entries.issuers[place]), f"{int(entries.issuers[place]):016x}")
            examples.append(f"serial {serial_text(entries.serial(place))} of {whose}: {how(place)}")


_WRONG = {
    "verify.absent": "certificates of the snapshot have no answer, or not for each hash that is configured",
    "verify.status": "certificates have another status, time or reason of revocation than the snapshot says",
    "verify.surplus": "certificates are answered good that the snapshot does not have",
}


def verify_against(
    store: Store, generation: Generation, config: Config, options: RunOptions, progress: Progress
) -> Against:
    """Hold a generation against the snapshot of a configuration.

    Args:
        store: where the generation is.
        generation: that is published.
        config: whose snapshot it is.
        options: which files, and for which instant, where the command line says it.
        progress: told how many rows are read.

    Raises:
        VerificationError: something is wrong; with examples.
        ConfigError, InputError: the configuration or the snapshot cannot be read.
        StorageError, OSError: the store is damaged, or does not answer.
    """
    now = clock.now()
    issuers, _ = load_issuers(config, now, leaving="as-configured")
    snapshot = opened_snapshot(config, options, issuers, now)
    viewer, shards = Viewer(store, generation), generation.manifest.shards
    found = Against(as_of=clock.seconds(snapshot.as_of))
    kept_s = config.snapshot.keep_expired_s
    expired_before = None if kept_s is None else found.as_of - kept_s
    with open_spool(config.journals, snapshot.row_estimate) as spool:
        for shard, rows in _ranges(snapshot, issuers, shards, spool, expired_before, progress):
            _hold(viewer.view(shard.low, shard.high), rows, issuers, expired_before, found)
    found.rows_in = snapshot.rows_in
    if found.counts:
        raise VerificationError(
            f"commit {generation.commit.number}, as of {clock.text(generation.commit.as_of)}, does not say what the "
            f"snapshot as of {clock.text(found.as_of)} says",
            [
                Finding(code, "error", f"{count:,} {_WRONG[code]}", count, tuple(found.examples[code]))
                for code, count in sorted(found.counts.items())
            ],
        )
    return found


def _ranges(
    snapshot: Snapshot,
    issuers: Sequence[Issuer],
    shards: Sequence[Shard],
    spool: Spool,
    expired_before: int | None,
    progress: Progress,
) -> Iterator[tuple[Shard, Entries]]:
    """Yield what the snapshot says of the certificates of each shard."""
    repeats = tuple((of, index) for index, issuer in enumerate(issuers) for of in issuer.rows_of)
    ids = np.array([issuer.issuer_id for issuer in issuers], np.uint64)
    bounds = [0, *(shard.high for shard in shards)]
    files = route(_counted(snapshot, progress), spool, bounds, ids, Steps(), None, repeats, snapshot.row_estimate)
    as_of = clock.seconds(snapshot.as_of)
    for shard, file in zip(shards, files, strict=True):
        yield shard, _entries(load_shard(file, expired_before), ids, as_of)


def _counted(snapshot: Snapshot, progress: Progress) -> Iterator[StatusBatch]:
    for batch in snapshot.batches():
        yield batch
        progress("read", snapshot.rows_in, max(snapshot.row_estimate, snapshot.rows_in))


def _entries(rows: ShardRows, ids: NDArray[np.uint64], as_of: int) -> Entries:
    """Return what rows say, as entries of a run."""
    count, sizes = len(rows.keys), (rows.codes >> 2 & 63).astype(np.uint8)
    serials = np.zeros((count, MAX_SERIAL_BYTES), np.uint8)
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        serials[places, :size] = rows.serials(places, size)
    status = STATUS_OF_KIND[rows.codes & 3]
    status[rows.reason == CERTIFICATE_HOLD] = RememberedStatus.ON_HOLD
    is_revoked = (status == RememberedStatus.REVOKED) | (status == RememberedStatus.ON_HOLD)
    entries = Entries(
        keys=rows.keys,
        issuers=ids[rows.codes >> 8 & 0xFF_FFFF],
        serials=serials,
        sizes=sizes,
        status=status,
        revoked_at=np.where(is_revoked, rows.revoked_at, 0).astype(np.uint32),
        reason=np.where(is_revoked, rows.reason, -1).astype(np.int8),
        not_after=rows.not_after,
        as_of=np.full(count, as_of, np.int64),
        origin=np.full(count, Origin.RUN, np.uint8),
    )
    return entries.take(order_of(entries))


def _hold(view: View, wanted: Entries, issuers: Sequence[Issuer], expired_before: int | None, found: Against) -> None:
    """Hold what is published of one range against what the snapshot says of it."""
    labels = {issuer.issuer_id: issuer.names[0] for issuer in issuers}
    stored = view.entries
    at, there = paired(wanted, stored)
    found.certificates += len(wanted)
    absent = np.ones(len(wanted), np.bool_)
    absent[at] = ~_is_answered(view, issuers)[there]
    found.note("verify.absent", wanted, absent, labels, lambda place: f"{_said(wanted, place)} in the snapshot")
    # What overlays say is right by the order of truth; beside that, a shard says what its snapshot says.
    rows, said = wanted.take(at), stored.take(there)
    truth = resolve(said, RowsSay(rows.status, rows.revoked_at, rows.reason, rows.as_of, rows.origin))
    is_urgent = view.in_overlays[there]
    right = {
        name: np.where(is_urgent, getattr(truth, name), getattr(rows, name))
        for name in ("status", "revoked_at", "reason")
    }
    wrong = np.zeros(len(said), np.bool_)
    for name, column in right.items():
        wrong |= getattr(said, name) != column
    found.ahead += int((is_urgent & ~wrong & (said.status != rows.status)).sum())
    found.note(
        "verify.status",
        said,
        wrong,
        labels,
        lambda place: f"{_said(said, place)} is published, {_said(rows, place)} in the snapshot",
    )
    surplus = np.ones(len(stored), np.bool_)
    surplus[there] = False
    surplus &= stored.status == RememberedStatus.GOOD
    if expired_before is not None:
        surplus &= stored.not_after >= min(max(expired_before, 0), NO_EXPIRY_32)
    # What no snapshot has had stays until a run drops it; what a rollback has copied is of a later one than this.
    alone = surplus & view.in_overlays & ((stored.origin != Origin.RUN) | (stored.as_of > found.as_of))
    found.alone += int(alone.sum())
    surplus &= ~alone
    found.note("verify.surplus", stored, surplus, labels, lambda _: "good is published, the snapshot lacks it")


def _is_answered(view: View, issuers: Sequence[Issuer]) -> Mask:
    """Tell which records have a response for each CertID hash that their issuer is configured for."""
    hashes = {issuer.issuer_id: {oid for oids in issuer.cert_ids for oid in oids} for issuer in issuers}
    answered = np.zeros(len(view.entries), np.bool_)
    for number, pack in enumerate(view.packs):
        tables = pack.loaded.tables
        whole = np.array(
            [
                hashes.get(tables.issuers[run.issuer].issuer_id, set())
                <= {oid for response in tables.shapes[run.shape].responses for oid in response.hashes}
                for run in tables.runs
            ],
            np.bool_,
        )
        own = view.pack == number
        answered[own] = whole[pack.runs[view.place[own]]]
    return answered


def _said(entries: Entries, place: int) -> str:
    """Return what is said of one certificate, for messages."""
    status, reason = RememberedStatus(int(entries.status[place])), int(entries.reason[place])
    name = REMEMBERED_STATUSES[status]
    if status not in {RememberedStatus.REVOKED, RememberedStatus.ON_HOLD}:
        return name
    at = clock.text(int(entries.revoked_at[place]))
    return f"{name} at {at}" + (f" with reason {reason}" if reason >= 0 else "")
