"""Whether a run goes on where an earlier one of its configuration was stopped, and with which of its shards.

An answer of the first attempt is worth as much as one of now where both would be the same but for the signature: so
configuration, snapshot and base must be those of then, and the windows are taken over, if they still leave enough time.
Rows are read and judged again in any case, and each pack is compared with them. One that would be made the same again
is named as it is (`pregen.generation.making.recalling`). Where that is not so, as urgent changes have landed meanwhile,
it is one more pack that records are carried over from, as any is that the current generation has: what it says
otherwise than the rows, which have heard these changes, is signed.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pregen import clock
from pregen.errors import Finding, PregenError, ResumeError, VerificationError
from pregen.generation.looking_back import LookBack
from pregen.generation.making.journal import Attempt, Journal, Numbering
from pregen.generation.making.plan import Plan
from pregen.generation.making.shard import SignedShard, SignTask
from pregen.generation.preparation import Prepared, plan_windows
from pregen.validity import ValidityWindow
from storage.commits import commit_name, read_commit
from storage.errors import FormatError
from storage.removals import removed_since
from storage.tables import Tables
from storage.windows import with_tables


@dataclass(slots=True)
class Resumption:
    """The journal of a run, and what it has from an earlier one.

    Attributes:
        journal: where finished shards are noted.
        prepared: what was looked at, with the windows of the earlier attempt where the run goes on.
        attempt: by what this run signs, but for its plan.
        earlier: the attempt that it goes on with; None: it begins anew.
        warnings: why it does, where there is something to go on with.
        tables: what the numbers in packs of the earlier attempt stand for, by the names of their windows.
        lost: why some of these cannot be read; empty: all can.
    """

    journal: Journal
    prepared: Prepared
    attempt: Attempt
    earlier: Attempt | None = None
    warnings: tuple[Finding, ...] = ()
    tables: Mapping[str, Tables] = field(default_factory=dict)
    lost: str = ""
    _made_of: dict[int, bytes | None] = field(default_factory=dict)

    @property
    def began_s(self) -> int:
        """Since when packs of this run may be in the store, in seconds since 1970: since the first attempt."""
        return clock.seconds(min(self.prepared.begun, self.prepared.started))

    def added_to(self, back: LookBack) -> LookBack:
        """Return a look back that knows the packs of the earlier attempt too."""
        return back.beside(self.tables) if self.tables else back

    def begun(self, plan: Plan, tasks: Sequence[SignTask]) -> list[SignTask]:
        """Begin the journal, or go on with it; return tasks with the packs that may be there already.

        Raises:
            ResumeError: the run was told to go on, and cannot.
        """
        if not tasks:
            return []
        self._made_of = {task.file.number: task.file.made_of for task in tasks}
        numbering = _numbering(plan)
        going_on = [self._going_on(task, numbering) for task in tasks]
        if self.earlier is not None and not any(one is not task for one, task in zip(going_on, tasks, strict=True)):
            why = self.lost or "none of them has the key range of one that is to be made now"
            self.earlier, self.warnings = None, _begun_anew(self.prepared, self.journal, why)
        if self.earlier is None:
            self.journal.begin(self.attempt)
        else:
            self.journal.go_on()
        self.journal.number(numbering)
        return going_on

    def _going_on(self, task: SignTask, numbering: Numbering) -> SignTask:
        """Return a task with the pack of the earlier attempt that it may name again, or carry records over from."""
        finished = self.journal.finished.get((task.file.low, task.file.high)) if self.earlier else None
        if finished is None:
            return task
        windows = finished.shard.windows
        if finished.made_of == task.file.made_of and self.journal.numberings[windows].digest == numbering.digest:
            return replace(task, finished=finished)
        if windows not in self.tables:
            return task
        current = self.prepared.current
        newer = {one.pack for one in current.manifest.overlays} if current else set[str]()
        overlays = [one for one in task.packs if one.pack in newer]
        shards = [one for one in task.packs if one.pack not in newer]
        return replace(task, packs=(*overlays, finished.shard, *shards))

    def note(self, signed: SignedShard) -> None:
        """Add a shard whose pack is stored and read back; not one from which anything was left out."""
        made_of = self._made_of[signed.number]
        if made_of is not None and signed.is_whole and not signed.is_recalled:
            self.journal.note(made_of, signed.shard)

    def all_warnings(self) -> tuple[Finding, ...]:
        """Return what is to be told of the journal."""
        if (failure := self.journal.failure) is None:
            return self.warnings
        text = f"{self.journal.path}: no journal could be kept ({failure}): a run that is stopped now begins anew"
        return (*self.warnings, Finding("resume.no-journal", "warning", text))


@contextlib.contextmanager
def going_on(prepared: Prepared) -> Iterator[Resumption]:
    """Give what a run goes on with, or that it begins anew, and keep its journal while the context lasts.

    When the context ends well, the journal goes away: all that it names is published. So it does after a pack was found
    to be wrong; whatever else stops a run leaves it behind for the next one.

    Raises:
        ResumeError: the run was told to go on, and cannot.
        OSError: the store does not answer.
    """
    config = prepared.config
    with Journal(config.journals, f"{config.path.resolve()}\n{prepared.store.url}") as journal:
        try:
            yield _resumption(prepared, journal)
        except VerificationError:
            journal.remove()
            raise
        journal.remove()


def _resumption(prepared: Prepared, journal: Journal) -> Resumption:
    attempt = Attempt(
        configuration=hashlib.sha256(prepared.config.path.read_bytes()).hexdigest(),
        base=_base(prepared),
        as_of=clock.seconds(prepared.snapshot.as_of),
        started=clock.seconds(prepared.started),
    )
    begins = Resumption(journal, prepared, attempt)
    if not journal.is_ours or journal.attempt is None or not journal.finished:
        if prepared.resume:
            raise ResumeError(f"there is nothing to go on with: {_why_nothing(journal)}; leave --resume out")
        if journal.is_busy:
            text = f"another run of this configuration is at work, and has {journal.path}: this one keeps no journal"
            begins.warnings = (Finding("resume.no-journal", "warning", text),)
        return begins
    earlier = journal.attempt
    if why := _obstacle(attempt, earlier):
        begins.warnings = _begun_anew(prepared, journal, why)
        return begins
    started = clock.instant(earlier.started)
    try:
        issuers, windows = plan_windows(prepared.issuers, prepared.snapshot.as_of, started)
    except PregenError as e:
        begins.warnings = _begun_anew(prepared, journal, f"its windows can no longer be given: {e}")
        return begins
    if [one.trouble for one in issuers] != [one.trouble for one in prepared.issuers]:
        begins.warnings = _begun_anew(prepared, journal, "an issuer that could sign then cannot now, or the other way")
        return begins
    if why := _too_old(prepared, windows, started):
        begins.warnings = _begun_anew(prepared, journal, why)
        return begins
    number, head = int(earlier.base.partition(":")[0] or 0), prepared.head
    # What a list of removals names counts as gone, be it still there or not.
    gone = removed_since(prepared.store, number, head.commit) if head else frozenset[str]()
    journal.finished = {key: one for key, one in journal.finished.items() if one.shard.pack not in gone}
    refreshing = replace(prepared.refreshing, now=earlier.started)
    taken_over = replace(prepared, started=started, windows=windows, refreshing=refreshing)
    tables, lost = _tables(taken_over, journal, gone)
    attempt = replace(attempt, started=earlier.started)
    return Resumption(journal, taken_over, attempt, earlier, tables=tables, lost=lost)


def _numbering(plan: Plan) -> Numbering:
    digest = hashlib.sha256(repr(plan.tables).encode()).hexdigest()
    return Numbering(name=plan.name, octets=plan.objects[plan.name], digest=digest)


def _tables(prepared: Prepared, journal: Journal, gone: frozenset[str]) -> tuple[dict[str, Tables], str]:
    """Return what the numbers in packs of an earlier attempt stand for, by the names of windows, and why some are lost.

    Raises:
        OSError: the store does not answer.
    """
    known, found, lost = dict(prepared.current_tables), dict[str, Tables](), ""
    for name in sorted({one.shard.windows for one in journal.finished.values()}):
        try:
            tables_name, found[name] = with_tables(prepared.store, name, journal.numberings[name].octets, known)
        except (FormatError, FileNotFoundError) as e:
            lost = f"their tables cannot be read any more ({e})"
            continue
        known[tables_name] = found[name].lasting
        if tables_name in gone:
            lost = f"a cleaning has removed their tables ({tables_name})"
            del found[name]
    return found, lost


def _base(prepared: Prepared) -> str:
    """Return what tells the commit from others whose shards are current."""
    if prepared.head is None:
        return ""
    number = prepared.head.commit.base
    head = prepared.head if prepared.head.commit.is_base else read_commit(prepared.store, number)
    return f"{number}:{hashlib.sha256(head.octets).hexdigest() if head else commit_name(number)}"


def _why_nothing(journal: Journal) -> str:
    if journal.is_busy:
        return f"another run of this configuration is at work, and has {journal.path}"
    if journal.failure:
        return f"{journal.path} cannot be used ({journal.failure})"
    return f"no run of this configuration and store was stopped after its first shard (there is no {journal.path})"


def _obstacle(now: Attempt, earlier: Attempt) -> str | None:
    """Return what is otherwise than at the first attempt; None: nothing is."""
    if now.configuration != earlier.configuration:
        return "the configuration file has changed since"
    if now.base != earlier.base:
        was, is_now = (one.base.partition(":")[0] or "none" for one in (earlier, now))
        return f"another generation is published (it began on commit {was}, now it is {is_now})"
    if now.as_of != earlier.as_of:
        was, is_now = clock.text(earlier.as_of), clock.text(now.as_of)
        return f"it was of another snapshot (as of {was}, and not {is_now})"
    return None


def _too_old(prepared: Prepared, windows: Sequence[ValidityWindow], started: datetime) -> str | None:
    """Return why the windows of the first attempt do not hold any more; None: they do."""
    now = prepared.started
    if now not in (prepared.begun, started):
        return f"--now asks for the windows of {clock.text(now)}, and those of its answers are of {clock.text(started)}"
    if now < started:
        return f"it began at {clock.text(started)}, which is later than now ({clock.text(now)})"
    refreshing = prepared.refreshing
    for issuer, window, fresh in zip(prepared.issuers, windows, prepared.windows, strict=True):
        if issuer.trouble:
            continue
        left, whole = window.refresh_by - now, window.refresh_by - started
        is_due, fresh_due = (
            refreshing.due(clock.seconds(one.refresh_by), clock.seconds(one.next_update)) for one in (window, fresh)
        )
        if left * 2 < whole or (is_due and not fresh_due):
            return (
                f"its windows are too old: they are of {clock.text(started)}, and newer answers are due by "
                f"{clock.text(window.refresh_by)}"
            )
    return None


def _begun_anew(prepared: Prepared, journal: Journal, why: str) -> tuple[Finding, ...]:
    """Return the warning that a run begins anew.

    Raises:
        ResumeError: it was told not to.
    """
    count = len(journal.finished)
    text = f"the {count:,} shard(s) that an earlier run has finished cannot be used: {why}"
    if prepared.resume:
        raise ResumeError(f"{text}; leave --resume out, and everything is signed anew")
    return (Finding("resume.anew", "warning", f"{text}; everything is signed anew"),)
