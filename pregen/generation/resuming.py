"""Whether a run goes on where an earlier one of its configuration was stopped, and with which of its shards.

An answer of the first attempt is worth as much as one of now where both would be the same but for the signature: so
configuration, snapshot and base must be those of then, and the windows are taken over, if they still leave enough time.
Rows are read and judged again in any case, and each pack is compared with them (`pregen.generation.making.recalling`).
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pregen import clock
from pregen.errors import Finding, PregenError, ResumeError, VerificationError
from pregen.generation.making.journal import Attempt, Finished, Journal
from pregen.generation.making.plan import Plan
from pregen.generation.making.shard import SignedShard, SignTask
from pregen.generation.preparation import Prepared, plan_windows
from pregen.validity import ValidityWindow
from storage.commits import commit_name, read_commit
from storage.removals import removed_since


@dataclass(slots=True)
class Resumption:
    """The journal of a run, and what it has from an earlier one.

    Attributes:
        journal: where finished shards are noted.
        prepared: what was looked at, with the windows of the earlier attempt where the run goes on.
        attempt: by what this run signs, but for its plan.
        earlier: the attempt that it goes on with; None: it begins anew.
        warnings: why it does, where there is something to go on with.
    """

    journal: Journal
    prepared: Prepared
    attempt: Attempt
    earlier: Attempt | None = None
    warnings: tuple[Finding, ...] = ()
    _made_of: dict[int, bytes | None] = field(default_factory=dict)

    @property
    def began_s(self) -> int:
        """Since when packs of this run may be in the store, in seconds since 1970: since the first attempt."""
        return clock.seconds(min(self.prepared.begun, self.prepared.started))

    def begun(self, plan: Plan, tasks: Sequence[SignTask]) -> list[SignTask]:
        """Begin the journal, or go on with it; return tasks with the packs that may be there already.

        Raises:
            ResumeError: the run was told to go on, and cannot.
        """
        if not tasks:
            return []
        self._made_of = {task.file.number: task.file.made_of for task in tasks}
        # All that the numbers of runs in packs stand for; whatever the objects are called that are stored of it.
        digest = hashlib.sha256(repr(plan.tables).encode()).hexdigest()
        if self.earlier is not None and self.earlier.plan != digest:
            why = "its answers have other windows, or kinds of rows, than those of now"
            self.earlier, self.warnings = None, _begun_anew(self.prepared, self.journal, why)
        if self.earlier is None:
            self.journal.begin(replace(self.attempt, plan=digest))
            return list(tasks)
        self.journal.go_on()
        return [replace(task, finished=self._finished(task)) for task in tasks]

    def _finished(self, task: SignTask) -> Finished | None:
        return self.journal.finished.get((task.file.low, task.file.high))

    def note(self, signed: SignedShard) -> None:
        """Add a shard whose pack is stored and read back; not one from which anything was left out."""
        made_of = self._made_of[signed.number]
        if made_of is not None and signed.is_whole and not signed.is_resumed:
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
        plan="",
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
    return Resumption(journal, taken_over, replace(attempt, started=earlier.started), earlier)


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
