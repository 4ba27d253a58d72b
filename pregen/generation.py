"""One run: a snapshot becomes a published generation, or nothing happens.

    prepare   configuration, keys, certificates, store, snapshot files: all that can be refused without reading a row
    survey    rows to shards, each shard counted, contradictions found: all that can be refused without a signature
    sign      shards to packs, read back
    commit    tables, manifest, commit

`pregen check` does the first two.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from pregen import clock
from pregen.config import Config
from pregen.credentials import open_publish_store
from pregen.errors import ConfigError, Finding, GateError, InputError, PregenError, VerificationError
from pregen.interruption import uninterruptible
from pregen.issuers import Issuer, load_issuers
from pregen.plan import Plan, make_plan
from pregen.routing import ShardFile, route, shard_count
from pregen.rows import Conflict, Group, Survey, total
from pregen.shard import ShardSigner, ShardTask, SignedShard, SigningJob, Surveyor
from pregen.signers import ALGORITHMS, engine_named
from pregen.snapshot import Snapshot, StatusBatch, open_snapshot
from pregen.spool import spool_folder
from pregen.validity import ValidityWindow, check_run_times, plan_window
from pregen.workers import WorkerPool
from storage import key
from storage.commits import Head, check_writable, find_head, new_publisher, publish
from storage.manifest import Manifest
from storage.reader import Generation
from storage.stores import Store
from storage.stores.probe import probe_racing_creates

Progress = Callable[[str, int, int], None]  # step, done, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says about one run; it wins over the configuration."""

    snapshot: str | None = None
    as_of: datetime | None = None
    now: datetime | None = None
    drop_issuers: tuple[str, ...] = ()
    engine: str | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a run published."""

    commit: int
    rows_in: int
    certificates: int
    excluded: dict[str, int]
    responses: int
    issuers: int
    engine: str
    workers: int
    shards: int
    stored_bytes: int
    verified: int
    as_of: int
    this_update: int
    next_update: int
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a run needs, looked at and found right, before a row is read."""

    config: Config
    issuers: tuple[Issuer, ...]
    windows: tuple[ValidityWindow, ...]
    engines: dict[str, str]
    workers: int
    open_store: Callable[[], Store]
    store: Store
    head: Head | None
    snapshot: Snapshot
    started: datetime
    warnings: tuple[Finding, ...]

    @property
    def expired_before(self) -> int | None:
        """Certificates whose not_after is before this instant get no answers; None: all get one."""
        kept = self.config.snapshot.keep_expired_s
        return None if kept is None else clock.seconds(self.snapshot.as_of) - kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A snapshot in its shards, counted."""

    pool: WorkerPool
    files: tuple[ShardFile, ...]
    groups: dict[Group, int]
    proofs: dict[int, frozenset[Group]] = field(default_factory=dict)
    rows_in: int
    excluded: dict[str, int]
    warnings: tuple[Finding, ...] = ()

    @property
    def certificates(self) -> int:
        """Rows that get responses."""
        return sum(self.groups.values())


def prepare(config: Config, options: RunOptions) -> Prepared:
    """Look at everything that can be wrong before a row is read.

    Raises:
        PregenError, StorageError, OSError: something is; see their exit codes.
    """
    started = options.now or clock.now()
    issuers, warnings = load_issuers(config, started)
    engines = _engines(issuers, options.engine or config.run.engine)
    open_store = functools.partial(
        open_publish_store, config.store, config.publish.s3.endpoint, config.publish.s3.region
    )
    try:
        store = open_store()
    except ValueError as e:
        raise ConfigError(f"{config.path}: publish.store or publish.s3: {e}") from None
    head = find_head(store)
    if head is not None:
        check_writable(head.commit)
        warnings += _refuse_lost_issuers(Generation(store, head), issuers, options.drop_issuers)
    names = {name: index for index, issuer in enumerate(issuers) for name in issuer.names}
    snapshot = open_snapshot(
        config.snapshot, config.folder, path=options.snapshot, as_of=options.as_of, now=started, issuers=names
    )
    check_run_times(
        profile=config.validity.profile,
        as_of=snapshot.as_of,
        started=started,
        clock_now=clock.now(),
        current_as_of=clock.instant(head.commit.as_of) if head else None,
    )
    workers = config.run.workers if options.workers is None else options.workers
    return Prepared(
        config=config,
        issuers=issuers,
        windows=_windows(config, issuers, snapshot.as_of, started),
        engines=engines,
        workers=workers or len(os.sched_getaffinity(0)),
        open_store=open_store,
        store=store,
        head=head,
        snapshot=snapshot,
        started=started,
        warnings=warnings,
    )


@contextlib.contextmanager
def survey(prepared: Prepared, progress: Progress) -> Iterator[Surveyed]:
    """Route all rows to shards and count them; the spill files and the workers live until the end of the context.

    Raises:
        InputError: rows that cannot be read, or that contradict each other; all kinds are counted.
        GateError: nothing is left to sign.
        SpoolError: no space for spill files.
    """
    snapshot, config = prepared.snapshot, prepared.config
    estimate = snapshot.row_estimate
    bounds = key.split(0, key.KEY32, shard_count(estimate))
    ids = np.array([issuer.issuer_id for issuer in prepared.issuers], np.uint64)
    with spool_folder(config.resolve(config.run.spool), estimate) as folder:
        files = route(_counted(snapshot, estimate, progress), folder, bounds, ids)
        findings = snapshot.findings()
        tasks = [ShardTask(file, prepared.expired_before) for file in files]
        with WorkerPool(min(prepared.workers, len(files))) as pool:
            surveys = sorted(pool.map(Surveyor, None, tasks), key=lambda one: one.shard)
            findings += _conflict_findings(surveys, snapshot)
            if any(finding.severity == "error" for finding in findings):
                raise InputError("the snapshot holds rows that cannot be published; nothing was published", findings)
            surveyed = Surveyed(
                pool=pool,
                files=files,
                groups=total(surveys),
                proofs=_proofs(surveys),
                rows_in=snapshot.rows_in,
                excluded=_excluded(snapshot, surveys),
                warnings=prepared.warnings + findings,
            )
            if not surveyed.certificates:
                raise GateError(
                    f"all {surveyed.rows_in:,} rows are excluded ({surveyed.excluded}): nothing is left to sign; "
                    "look at keep_expired and at the status values"
                )
            yield surveyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found to be right."""

    rows_in: int
    certificates: int
    excluded: dict[str, int]
    responses: int
    issuers: int
    engines: dict[str, str]
    shards: int
    as_of: int
    this_update: int
    next_update: int
    current_commit: int | None
    store: str
    warnings: tuple[Finding, ...]


def check(config: Config, options: RunOptions, progress: Progress) -> Checked:
    """Do all of a run that can refuse it, and probe the store; sign and publish nothing.

    Raises:
        PregenError, StorageError, OSError: a run would be refused; see their exit codes.
    """
    prepared = prepare(config, options)
    probe_racing_creates(prepared.store)
    with survey(prepared, progress) as surveyed:
        return Checked(
            rows_in=surveyed.rows_in,
            certificates=surveyed.certificates,
            excluded=surveyed.excluded,
            responses=_responses(prepared, surveyed),
            issuers=len(prepared.issuers),
            engines=prepared.engines,
            shards=len(surveyed.files),
            as_of=clock.seconds(prepared.snapshot.as_of),
            this_update=min(clock.seconds(window.this_update) for window in prepared.windows),
            next_update=min(clock.seconds(window.next_update) for window in prepared.windows),
            current_commit=prepared.head.commit.number if prepared.head else None,
            store=prepared.store.url,
            warnings=surveyed.warnings,
        )


def run(config: Config, options: RunOptions, progress: Progress) -> Published:
    """Publish a new generation.

    Raises:
        PregenError, StorageError, OSError: nothing was published; see their exit codes.
    """
    prepared = prepare(config, options)
    with survey(prepared, progress) as surveyed:
        plan = make_plan(prepared.issuers, prepared.windows, surveyed.groups)
        signed = _sign(prepared, surveyed, plan, progress)
    responses = _check_counts(prepared, surveyed, signed)
    prepared.store.put(plan.name, plan.octets)
    counts: dict[str, object] = {
        "rows_in": surveyed.rows_in,
        "certificates": surveyed.certificates,
        "responses": responses,
        "excluded": surveyed.excluded,
    }
    shards = tuple(one.shard for one in signed)
    manifest = Manifest(profile=config.validity.profile, shards=shards, counts=counts, gates={})
    with uninterruptible():
        head, put_bytes = publish(
            prepared.store,
            prepared.head,
            manifest,
            publisher=new_publisher(),
            as_of=clock.seconds(prepared.snapshot.as_of),
            started_at=clock.seconds(prepared.started),
        )
    used = {prepared.issuers[group.issuer].responder.algorithm for group in surveyed.groups}
    return Published(
        commit=head.commit.number,
        rows_in=surveyed.rows_in,
        certificates=surveyed.certificates,
        excluded=surveyed.excluded,
        responses=responses,
        issuers=len(prepared.issuers),
        engine=", ".join(sorted({prepared.engines[name] for name in used})),
        workers=min(prepared.workers, len(shards)),
        shards=len(shards),
        stored_bytes=put_bytes + len(plan.octets) + sum(shard.size_bytes for shard in shards),
        verified=sum(one.verified for one in signed),
        as_of=head.commit.as_of,
        this_update=min(window.this_update for window in plan.tables.windows),
        next_update=min(window.next_update for window in plan.tables.windows),
        warnings=surveyed.warnings,
    )


def _sign(prepared: Prepared, surveyed: Surveyed, plan: Plan, progress: Progress) -> list[SignedShard]:
    """Return all signed shards in the order of their keys."""
    job = SigningJob(prepared.issuers, prepared.windows, plan, prepared.engines, prepared.open_store)
    tasks = [
        ShardTask(file, prepared.expired_before, surveyed.proofs.get(file.number, frozenset()))
        for file in surveyed.files
    ]
    signed, done = [], 0
    for one in surveyed.pool.map(ShardSigner, job, tasks):
        signed.append(one)
        done += one.shard.rows
        progress("sign", done, surveyed.certificates)
    return sorted(signed, key=lambda one: one.number)


def _check_counts(prepared: Prepared, surveyed: Surveyed, signed: list[SignedShard]) -> int:
    """Return the number of responses, after every row is accounted for by what was read back."""
    certificates = sum(one.shard.rows for one in signed)
    responses = sum(one.responses for one in signed)
    excluded = sum(surveyed.excluded.values())
    if surveyed.rows_in != certificates + excluded:
        raise VerificationError(
            f"{surveyed.rows_in:,} rows came in, but {certificates:,} certificates were read back and {excluded:,} "
            "rows were excluded: nothing was published; please report this"
        )
    if responses != (wanted := _responses(prepared, surveyed)):
        raise VerificationError(
            f"{responses:,} responses were read back where {wanted:,} belong: nothing was published; please report this"
        )
    return responses


def _responses(prepared: Prepared, surveyed: Surveyed) -> int:
    return sum(len(prepared.issuers[group.issuer].cert_ids) * count for group, count in surveyed.groups.items())


def _engines(issuers: tuple[Issuer, ...], name: str) -> dict[str, str]:
    """Return the engine for each algorithm that the configuration uses."""
    used = sorted({issuer.responder.algorithm for issuer in issuers})
    return {algorithm: engine_named(name, ALGORITHMS[algorithm]).name for algorithm in used}


def _windows(
    config: Config, issuers: tuple[Issuer, ...], as_of: datetime, started: datetime
) -> tuple[ValidityWindow, ...]:
    """Return the window of each issuer; all that cannot have one are named at once."""
    windows, findings, kinds = [], [], []
    for issuer in issuers:
        try:
            window = plan_window(
                profile=config.validity.profile,
                lifetime=config.validity.lifetime_span,
                backdate=config.validity.backdate_span,
                as_of=as_of,
                started=started,
                cap=issuer.not_after,
            )
        except PregenError as e:
            findings.append(Finding(f"window.{e.code}", "error", f"{issuer.names[0]}: {e.message}"))
            kinds.append(type(e))
        else:
            windows.append(window)
    if findings:
        kind = ConfigError if ConfigError in kinds else kinds[0]
        raise kind("no window can be given to every issuer; nothing was published", findings)
    return tuple(windows)


def _refuse_lost_issuers(
    current: Generation, issuers: tuple[Issuer, ...], dropped: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Refuse a configuration that lacks an issuer of the current commit: it may be another CA's."""
    stored = {issuer.issuer_id: issuer.names for one in current.tables.values() for issuer in one.tables.issuers}
    kept = {issuer.issuer_id for issuer in issuers}
    lost = {number: names for number, names in stored.items() if number not in kept}
    missing = [names[0] for names in lost.values() if not set(names) & set(dropped)]
    if missing:
        options = " ".join(f"--drop-issuer {name}" for name in missing)
        raise GateError(
            f"commit {current.commit.number} answers for {', '.join(missing)}, which the configuration lacks: "
            "publishing would make all its certificates unauthorized. Add the missing [[issuer]], use another store, "
            f"or say {options}"
        )
    unknown = set(dropped) - {name for names in lost.values() for name in names}
    return tuple(
        Finding("drop-issuer.nothing", "warning", f"--drop-issuer {name}: nothing to drop by that name")
        for name in sorted(unknown)
    )


def _counted(snapshot: Snapshot, estimate: int, progress: Progress) -> Iterator[StatusBatch]:
    for batch in snapshot.batches():
        yield batch
        progress("read", snapshot.rows_in, max(estimate, snapshot.rows_in))


def _proofs(surveys: list[Survey]) -> dict[int, frozenset[Group]]:
    """Return, by shard, the groups that are seen there first: one response of each is verified there."""
    seen: set[Group] = set()
    proofs = {}
    for one in surveys:
        proofs[one.shard] = frozenset(one.groups.keys() - seen)
        seen |= one.groups.keys()
    return proofs


def _excluded(snapshot: Snapshot, surveys: list[Survey]) -> dict[str, int]:
    counts = {
        **snapshot.excluded,
        "expired": sum(one.expired for one in surveys),
        "repeated": sum(one.repeated for one in surveys),
    }
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _conflict_findings(surveys: list[Survey], snapshot: Snapshot) -> tuple[Finding, ...]:
    count = sum(one.conflict_count for one in surveys)
    if not count:
        return ()
    examples: list[Conflict] = [conflict for one in surveys for conflict in one.conflicts][:20]
    return (
        Finding(
            "row.conflict",
            "error",
            "rows of one certificate differ in status, revocation time or reason: "
            "decide at the source which one is right",
            count,
            tuple(
                f"{snapshot.locate(one.other)}, column serial, {int.from_bytes(one.serial, 'big', signed=True):x}: "
                f"contradicts {snapshot.locate(one.row)}"
                for one in examples
            ),
        ),
    )
