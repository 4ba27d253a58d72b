"""The whole of a run: prepare, survey, sign, commit; and what `pregen check` does of it."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from pregen import clock
from pregen.config import Config
from pregen.errors import Finding
from pregen.generation.cluster.figures import ClusterFigures
from pregen.generation.committing import Committed, commit
from pregen.generation.kept_shards import find_keepable
from pregen.generation.looking_back import LookBack, look_back
from pregen.generation.made import Made
from pregen.generation.making.left_out import all_left_out, left_out_warning, with_counts
from pregen.generation.making.plan import Plan, make_plan
from pregen.generation.making.why_signed import Reasons, all_reasons, damage_warning
from pregen.generation.overlaying import sign_staying
from pregen.generation.pace import pace_warning
from pregen.generation.preparation import Prepared, RunOptions, prepare
from pregen.generation.resuming import Resumption, going_on
from pregen.generation.rows.spill import ROW_BYTES
from pregen.generation.signing import put_tables, put_windows, sign, signing_job
from pregen.generation.survey import Survey, survey
from pregen.generation.work.steps import Steps
from pregen.generation.worklist import Worklist, keep, make_worklist
from pregen.generation.workplace import Workplace, open_workplace
from pregen.issuers import client_warnings
from pregen.progress import Progress
from storage.manifest import LeftBehind
from storage.markers import at_work
from storage.stores.probe import probe_racing_creates, probed_lately


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found to be right: what was prepared, what came in, and all warnings."""

    prepared: Prepared
    survey: Survey
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a run published.

    Attributes:
        prepared: what was looked at before a row was read.
        survey: what came in.
        committed: what was published, and the commit.
        made: the shards, and the overlay of what stays in one.
        plan_bytes: octets of tables and windows that were put.
        why_all: why nothing was carried over; empty: something may have been.
        cpu_by_step: the CPU seconds of all processes that can be told apart; start-up of processes is not among them.
        warnings: all of them.
        cluster: what became of the work of a cluster; None: this machine did it.
    """

    prepared: Prepared
    survey: Survey
    committed: Committed
    made: Made
    plan_bytes: int
    why_all: str
    cpu_by_step: dict[str, float]
    warnings: tuple[Finding, ...]
    cluster: ClusterFigures | None = None

    @property
    def commit(self) -> int:
        """Number of the new commit."""
        return self.committed.head.commit.number

    @property
    def left_behind(self) -> tuple[LeftBehind, ...]:
        """Issuers that could not sign."""
        return with_counts(self.prepared.left_behind, self.prepared.issuers, self.survey.left_out)

    @property
    def engine(self) -> str:
        """Names of the engines that signed."""
        issuers = [self.prepared.issuers[group.issuer] for group in self.survey.tally.groups]
        used = {issuer.responder.use for issuer in issuers if not issuer.trouble}
        return ", ".join(sorted({self.prepared.choices[use].engine for use in used}))

    @property
    def reasons(self) -> Reasons:
        """Why rows were signed, and how many were carried over."""
        reasons = all_reasons(one.reasons for one in self.made.packs)
        return reasons._replace(differs={self.why_all: reasons.signed["all"]}) if self.why_all else reasons

    @property
    def refresh_by(self) -> datetime:
        """When the first newer answer is due."""
        shards = [one.shard for one in self.made.in_order]
        return clock.instant(min(shard.refresh_by for shard in [one for one in shards if one.rows] or shards))

    @property
    def workers(self) -> int:
        """How many worker processes there were, at most one a shard."""
        return min(self.prepared.workers, self.shards)

    @property
    def shards(self) -> int:
        """How many there are, those that are kept among them."""
        return len(self.survey.files)

    @property
    def kept(self) -> int:
        """How many certificates are in shards whose packs are kept."""
        return self.survey.kept

    @property
    def stored_bytes(self) -> int:
        """Octets put, without the history: what the next run's gates need."""
        packs = sum(one.shard.size_bytes for one in self.made.packs if not one.is_recalled)
        return self.committed.put_bytes + self.plan_bytes + packs

    @property
    def resumed(self) -> int:
        """How many shards an earlier attempt had stored, whether their packs stay or their records were copied."""
        return sum(one.is_resumed for one in self.made.signed)

    @property
    def spooled_bytes(self) -> int:
        """Octets of rows that waited in the spool."""
        return sum(file.rows for file in self.survey.files) * ROW_BYTES

    @property
    def verified(self) -> int:
        """How many responses were parsed and verified."""
        return sum(one.verified for one in self.made.signed)


def check(config: Config, options: RunOptions, progress: Progress) -> Checked:
    """Do all of a run that can refuse it, and probe the store; sign and publish nothing.

    Raises:
        PregenError, StorageError, OSError: a run would be refused; see their exit codes.
    """
    prepared = prepare(config, options)
    probe_racing_creates(prepared.store)
    with open_workplace(prepared) as place:
        surveyed = survey(prepared, place, Steps(), progress)
    plan = make_plan(prepared.issuers, prepared.windows, surveyed.all_groups)
    # Who runs this each night has decided; who checks, decides.
    warnings = (*surveyed.warnings, *plan.warnings(), *client_warnings(prepared.issuers))
    return Checked(prepared=prepared, survey=surveyed, warnings=warnings)


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
    with going_on(prepared) as resumption, ExitStack() as working:
        return _published(resumption, steps, progress, working)


def _published(resumption: Resumption, steps: Steps, progress: Progress, working: ExitStack) -> Published:
    prepared = resumption.prepared
    with steps("prepare"):
        before = prepared.current.manifest.probed_at if prepared.current else None
        probed_at = probed_lately(prepared.store, before, clock.seconds(clock.now()))
    with open_workplace(prepared) as place:
        with steps("plan"):
            back = resumption.added_to(look_back(prepared))
            keepable = find_keepable(prepared, back, place.bounds)
        surveyed = survey(prepared, place, steps, progress, keepable)
        with steps("plan"):
            groups = surveyed.all_groups
            plan = make_plan(prepared.issuers, prepared.windows, groups, prepared.current_tables, back.candidates)
        work = make_worklist(prepared, surveyed, keepable, back)
        # Before anything else is put, and until it is committed: no cleaning takes it for what a dead run has left.
        working.enter_context(at_work(prepared.store, resumption.began_s))
        work = replace(work, sign=tuple(resumption.begun(plan, work.sign)))
        made, put = _made(resumption, place, surveyed, work, plan, back, steps, progress)
    surveyed = surveyed.without(all_left_out(one.left_out for one in made.signed))
    for one in made.packs:
        steps.add(one.steps)
    committed = commit(prepared, surveyed, made, steps, probed_at)
    cpu_by_step, reasons = steps.take(), all_reasons(one.reasons for one in made.packs)
    slow = pace_warning(reasons.by_issuer, prepared.issuers, prepared.choices, cpu_by_step.get("sign", 0.0))
    return Published(
        prepared=prepared,
        survey=surveyed,
        committed=committed,
        made=made,
        plan_bytes=sum(map(len, put.values())),
        why_all=back.why_all,
        cpu_by_step=cpu_by_step,
        warnings=surveyed.warnings
        + plan.warnings()
        + damage_warning(reasons)
        + left_out_warning(surveyed.left_out)
        + slow
        + resumption.all_warnings()
        + tuple(place.cluster.warnings if place.cluster else ()),
        cluster=place.cluster,
    )


def _made(
    resumption: Resumption,
    place: Workplace,
    surveyed: Survey,
    work: Worklist,
    plan: Plan,
    back: LookBack,
    steps: Steps,
    progress: Progress,
) -> tuple[Made, Mapping[str, bytes]]:
    """Make what is to be made anew, and return it with what stays, and the tables and windows that were put.

    Where nothing is, no pack is read, no key is used, and no tables are put.
    """
    prepared = resumption.prepared
    kept = keep(prepared, work, place.pool, steps)
    if not work.sign and not work.staying:
        return Made(kept=kept), {}
    with steps("plan"):
        job = signing_job(prepared, plan, back.job(plan))
    put_tables(prepared.store, plan)
    signed = sign(job, work.sign, place.pool, surveyed.certificates - surveyed.kept, progress, resumption.note)
    staying = sign_staying(job, work.staying, surveyed.staying.parts, place.pool)
    plan = put_windows(prepared.store, plan, Made(signed=signed, staying=staying).packs)
    made = Made(
        signed=[one.with_windows(plan.name) for one in signed],
        kept=kept,
        staying=[replace(pack, signed=pack.signed.with_windows(plan.name)) for pack in staying],
    )
    return made, plan.objects
