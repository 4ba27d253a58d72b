"""The whole of a run: prepare, survey, sign, commit; and what `pregen check` does of it."""

from dataclasses import dataclass

from pregen import clock
from pregen.config import Config
from pregen.errors import Finding
from pregen.gates import GateResult
from pregen.generation.by_issuer import IssuerFigures
from pregen.generation.committing import commit
from pregen.generation.counts import RowCounts
from pregen.generation.pace import pace_warning
from pregen.generation.plan import make_plan
from pregen.generation.preparation import Prepared, RunOptions, prepare
from pregen.generation.signing import sign
from pregen.generation.steps import Steps
from pregen.generation.survey import survey
from pregen.generation.worklist import shards_to_sign
from pregen.generation.workplace import open_workplace
from pregen.issuers import client_warnings
from pregen.progress import Progress
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
    counts: RowCounts
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
    counts: RowCounts
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
    with open_workplace(prepared) as place:
        surveyed = survey(prepared, place, Steps(), progress)
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
    return publish_prepared(prepared, steps, progress)


def publish_prepared(prepared: Prepared, steps: Steps, progress: Progress) -> Published:
    """Publish a new generation of what was prepared: survey, plan, sign, commit.

    Raises:
        PregenError, StorageError, OSError: nothing was published; see their exit codes.
    """
    with steps("prepare"):
        before = prepared.current.manifest.probed_at if prepared.current else None
        probed_at = probed_lately(prepared.store, before, clock.seconds(clock.now()))
    with open_workplace(prepared) as place:
        surveyed = survey(prepared, place, steps, progress)
        with steps("plan"):
            plan = make_plan(prepared.issuers, prepared.windows, surveyed.groups, prepared.current_tables)
        tasks = shards_to_sign(prepared, surveyed)
        signed = sign(prepared, plan, tasks, place.pool, surveyed.certificates, progress)
    for one in signed:
        steps.add(one.steps)
    committed = commit(prepared, surveyed, signed, steps, probed_at)
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
