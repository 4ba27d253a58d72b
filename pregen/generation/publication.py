"""The whole of a run: prepare, survey, sign, commit; and what `pregen check` does of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pregen import clock
from pregen.config import Config
from pregen.errors import Finding, VerificationError
from pregen.gates import GateResult
from pregen.gates.results import gates_document
from pregen.generation.by_issuer import IssuerFigures
from pregen.generation.counts import Counts
from pregen.generation.gatekeeping import after_signing
from pregen.generation.pace import pace_warning
from pregen.generation.past import write_past
from pregen.generation.plan import Plan, make_plan
from pregen.generation.preparation import Prepared, RunOptions, prepare
from pregen.generation.shard import ShardSigner, SignedShard, SigningJob, SignTask
from pregen.generation.steps import Steps
from pregen.generation.survey import Survey, survey
from pregen.interruption import uninterruptible
from pregen.issuers import client_warnings
from pregen.progress import Progress
from pregen.validity import check_still_timely
from storage.commits import Head, new_publisher, publish
from storage.manifest import Manifest
from storage.stores.probe import probe_racing_creates, probed_lately


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a run published; times are seconds since 1970, of windows the earliest.

    `cpu_by_step` are the CPU seconds of all processes that can be told apart; start-up of processes is not among them.
    `history_bytes`, what the next run's gates need, are not among `stored_bytes`. `rates` are the signatures a second
    of CPU time that engines were chosen by, by algorithm and engine. `counts` say what became of rows that
    get no answer of their own.
    """

    commit: int
    rows_in: int
    certificates: int
    excluded: dict[str, int]
    excluded_values: dict[str, dict[str, int]]
    counts: Counts
    responses: int
    issuers: int
    by_issuer: tuple[IssuerFigures, ...]
    engine: str
    rates: dict[str, dict[str, float]]
    workers: int
    shards: int
    stored_bytes: int
    history_bytes: int
    verified: int
    as_of: int
    this_update: int
    next_update: int
    refresh_by: int
    cpu_by_step: dict[str, float]
    gates: tuple[GateResult, ...]
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found to be right; times are seconds since 1970, of windows the earliest."""

    rows_in: int
    certificates: int
    excluded: dict[str, int]
    excluded_values: dict[str, dict[str, int]]
    counts: Counts
    responses: int
    issuers: int
    by_issuer: tuple[IssuerFigures, ...]
    engines: dict[str, str]
    rates: dict[str, dict[str, float]]
    shards: int
    as_of: int
    this_update: int
    next_update: int
    refresh_by: int
    current_commit: int | None
    store: str
    gates: tuple[GateResult, ...]
    warnings: tuple[Finding, ...]


def check(config: Config, options: RunOptions, progress: Progress) -> Checked:
    """Do all of a run that can refuse it, and probe the store; sign and publish nothing.

    Raises:
        PregenError, StorageError, OSError: a run would be refused; see their exit codes.
    """
    prepared = prepare(config, options)
    probe_racing_creates(prepared.store)
    with survey(prepared, Steps(), progress) as surveyed:
        plan = make_plan(prepared.issuers, prepared.windows, surveyed.groups)
        return Checked(
            rows_in=surveyed.rows_in,
            certificates=surveyed.certificates,
            excluded=surveyed.excluded,
            excluded_values=prepared.snapshot.excluded_values,
            counts=surveyed.counts,
            responses=surveyed.responses(prepared.issuers),
            issuers=len(prepared.issuers),
            by_issuer=surveyed.by_issuer,
            engines=prepared.engines,
            rates=prepared.rates,
            shards=len(surveyed.files),
            as_of=clock.seconds(prepared.snapshot.as_of),
            this_update=min(clock.seconds(window.this_update) for window in prepared.windows),
            next_update=min(clock.seconds(window.next_update) for window in prepared.windows),
            refresh_by=min(clock.seconds(window.refresh_by) for window in prepared.windows),
            current_commit=prepared.head.commit.number if prepared.head else None,
            store=prepared.store.url,
            gates=surveyed.gates,
            # Who runs this each night has decided; who checks, decides.
            warnings=(*surveyed.warnings, *plan.warnings(), *client_warnings(prepared.issuers)),
        )


def run(config: Config, options: RunOptions, progress: Progress) -> Published:
    """Publish a new generation.

    Raises:
        PregenError, StorageError, OSError: nothing was published; see their exit codes.
    """
    steps = Steps()
    with steps("prepare"):
        prepared = prepare(config, options)
        before = prepared.current.manifest.probed_at if prepared.current else None
        probed_at = probed_lately(prepared.store, before, clock.seconds(clock.now()))
    with survey(prepared, steps, progress) as surveyed:
        with steps("plan"):
            plan = make_plan(prepared.issuers, prepared.windows, surveyed.groups, prepared.current_tables)
        for name, octets in plan.objects.items():  # before the first signature: is the store writable at all?
            prepared.store.put(name, octets)
        signed = _sign(prepared, surveyed, plan, progress)
    for one in signed:
        steps.add(one.steps)
    committed = _commit(prepared, surveyed, signed, steps, probed_at)
    used = {prepared.issuers[group.issuer].responder.use for group in surveyed.groups}
    shards = [one.shard for one in signed]
    cpu_by_step = steps.take()
    slow = pace_warning(surveyed.groups, prepared.issuers, prepared.choices, cpu_by_step.get("sign", 0.0))
    return Published(
        commit=committed.head.commit.number,
        rows_in=surveyed.rows_in,
        certificates=surveyed.certificates,
        excluded=surveyed.excluded,
        excluded_values=prepared.snapshot.excluded_values,
        counts=surveyed.counts,
        responses=committed.responses,
        issuers=len(prepared.issuers),
        by_issuer=surveyed.by_issuer,
        engine=", ".join(sorted({prepared.choices[use].engine for use in used})),
        rates=prepared.rates,
        workers=min(prepared.workers, len(shards)),
        shards=len(shards),
        stored_bytes=committed.put_bytes
        + sum(map(len, plan.objects.values()))
        + sum(shard.size_bytes for shard in shards),
        history_bytes=committed.history_bytes,
        verified=sum(one.verified for one in signed),
        as_of=committed.head.commit.as_of,
        this_update=min(clock.seconds(window.this_update) for window in prepared.windows),
        next_update=min(clock.seconds(window.next_update) for window in prepared.windows),
        refresh_by=min(clock.seconds(window.refresh_by) for window in prepared.windows),
        cpu_by_step=cpu_by_step,
        gates=committed.gates,
        warnings=surveyed.warnings + plan.warnings() + slow,
    )


class _Committed(NamedTuple):
    """A generation that is published: its commit, octets put with it and for the next run's gates, and the results."""

    head: Head
    put_bytes: int
    history_bytes: int
    responses: int
    gates: tuple[GateResult, ...]


def _commit(
    prepared: Prepared, surveyed: Survey, signed: Sequence[SignedShard], steps: Steps, probed_at: int | None
) -> _Committed:
    """Look at everything that was signed once more, and publish it."""
    responses = check_counts(prepared, surveyed, signed)
    shards = tuple(one.shard for one in signed)
    windows = frozenset(window for one in signed for window in one.windows)
    verified = sum(one.verified for one in signed)
    gates = surveyed.gates + after_signing(
        surveyed.rows_in, surveyed.excluded, surveyed.counts.again, shards, windows, verified
    )
    with steps("gates"):
        history, history_bytes = _remember(prepared, surveyed, signed)
    check_still_timely(started=prepared.started, clock_now=clock.now(), windows=prepared.public_windows)
    counts: dict[str, object] = {
        "rows_in": surveyed.rows_in,
        "certificates": surveyed.certificates,
        "responses": responses,
        "excluded": surveyed.excluded,
    }
    if surveyed.counts.again:
        counts["again"] = surveyed.counts.again
    manifest = Manifest(
        profile=prepared.profiles,
        shards=shards,
        counts=counts,
        gates=gates_document(gates),
        history=history,
        probed_at=probed_at,
    )
    with steps("commit"), uninterruptible() as done:
        head, put_bytes = publish(
            prepared.store,
            prepared.head,
            manifest,
            publisher=new_publisher(),
            as_of=clock.seconds(prepared.snapshot.as_of),
            started_at=clock.seconds(prepared.started),
        )
        done()
    return _Committed(head, put_bytes, history_bytes, responses, gates)


def _remember(prepared: Prepared, surveyed: Survey, signed: Sequence[SignedShard]) -> tuple[str | None, int]:
    """Put the index of what the next run's gates need; return its name, and the octets of it and of its parts."""
    if surveyed.history is None:
        return None, 0
    parts = [one.history for one in signed if one.history is not None]
    name, index_bytes = write_past(prepared.store, surveyed.history, parts)
    return name, index_bytes + sum(part.size_bytes for part in parts)


def _sign(prepared: Prepared, surveyed: Survey, plan: Plan, progress: Progress) -> list[SignedShard]:
    """Return all signed shards in the order of their keys."""
    as_of = clock.seconds(prepared.snapshot.as_of)
    engines = {use: choice.engine for use, choice in prepared.choices.items()}
    job = SigningJob(prepared.issuers, prepared.windows, plan, engines, prepared.open_store, as_of)
    tasks = [
        SignTask(file, prepared.expired_before, prepared.endings, surveyed.proofs.get(file.number, frozenset()))
        for file in surveyed.files
    ]
    signed, done = [], 0
    for one in surveyed.pool.map(ShardSigner, job, tasks):
        signed.append(one)
        done += one.shard.rows
        progress("sign", done, surveyed.certificates)
    return sorted(signed, key=lambda one: one.number)


def check_counts(prepared: Prepared, surveyed: Survey, signed: Sequence[SignedShard]) -> int:
    """Return the number of responses, after every row is accounted for by what was read back."""
    certificates = sum(one.shard.rows for one in signed)
    responses = sum(one.responses for one in signed)
    excluded = sum(surveyed.excluded.values())
    if surveyed.rows_in != certificates - surveyed.counts.again + excluded:
        again = f", {surveyed.counts.again:,} of them for a further name or key," if surveyed.counts.again else ""
        raise VerificationError(
            f"{surveyed.rows_in:,} rows came in, but {certificates:,} certificates were read back{again} and "
            f"{excluded:,} rows were excluded: nothing was published; please report this"
        )
    if responses != (wanted := surveyed.responses(prepared.issuers)):
        raise VerificationError(
            f"{responses:,} responses were read back where {wanted:,} belong: nothing was published; please report this"
        )
    return responses
