"""`pregen rollback`: a generation is taken back without un-revoking anybody and without losing new certificates.

The new commit has the shards, the overlays and the as_of of an earlier one, and on top what the later ones know better
(`rollback_rules.py`), copied octet by octet. Nothing is signed, so no key is needed; but all of it must hold until the
next run, which folds it in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pregen import clock
from pregen.errors import MAX_EXAMPLES, Finding, GateError, UsageError
from pregen.gates import Acceptance, GateResult
from pregen.gates.author import Author
from pregen.gates.results import GateOutcome, gates_document
from pregen.interruption import uninterruptible
from pregen.overlay_keys import put_overlay_keys
from pregen.overlays.entries import Origin
from pregen.overlays.records import MOST_OVERLAYS, overlay_count
from pregen.progress import Progress
from pregen.upkeep.commit_log import walk_back
from pregen.upkeep.comparing import Compared, Earlier, compare
from pregen.upkeep.copying import Copier, copy_chosen, copy_overlays
from pregen.upkeep.ended_meanwhile import EndedMeanwhile
from pregen.upkeep.further_keys import FurtherKeys
from pregen.upkeep.lasting import shards_end
from pregen.upkeep.named_objects import Naming, named_directly
from pregen.upkeep.rollback_rules import CopyRules
from pregen.upkeep.tallying import RollbackTally
from pregen.upkeep.views import Overlays, Viewer
from pregen.validity import check_store_clock
from storage.certid import serial_text
from storage.commits import (
    ROLLBACK,
    Commit,
    CommitTerms,
    Head,
    check_log,
    check_writable,
    find_head,
    new_publisher,
    publish,
    read_commit,
)
from storage.errors import CommitRefusedError, FormatError, NothingPublishedError
from storage.history import encode_index
from storage.manifest import Manifest, encode_manifest, manifest_name
from storage.markers import at_work
from storage.reader import Generation
from storage.removals import removed_since
from storage.stores import Store

ACCEPTED = ("unrevoke", "shrink")
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackTerms:
    """What to go back to, and how.

    Attributes:
        to: number of the commit.
        reason: why.
        accept: what is left to that generation by name.
        author: who does it.
        every_s: how often runs take place.
        is_dry: whether only to look.
    """

    to: int
    reason: str
    accept: tuple[Acceptance, ...] = ()
    author: Author
    every_s: int
    is_dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a rollback did, or would do.

    Attributes:
        commit: that it made; the head where it only looked.
        to: the commit that it went back to.
        tally: what was copied, and what was left to that one.
        holds_until: until when all of its answers hold, in seconds since 1970.
        warnings: acceptances that nothing needed.
    """

    commit: Commit
    to: Commit
    tally: RollbackTally
    holds_until: int
    warnings: tuple[Finding, ...]


def roll_back(store: Store, terms: RollbackTerms, progress: Progress) -> RolledBack:
    """Publish an earlier generation again, and on top of it what later ones know better.

    Raises:
        UsageError: there is no such commit to go back to.
        GateError: it cannot be gone back to; the findings say why.
        CommitRefusedError: a run or another rollback was first.
        StorageError, OSError: the store is damaged, or does not answer.
    """
    check_store_clock(clock.seconds_ahead_of(lambda: store.clock_s(may_write=not terms.is_dry)), store.url)
    head = find_head(store)
    check_log(store, head)
    if head is None:
        raise NothingPublishedError(store.url)
    check_writable(head.commit)
    if terms.is_dry:
        return _Rollback(store, head, terms, progress).look()
    with at_work(store, clock.seconds(clock.now())):
        return _published(store, head, terms, progress)


def _published(store: Store, head: Head, terms: RollbackTerms, progress: Progress) -> RolledBack:
    """Publish it, again and again where urgent changes and cleanings are first: then what is new is compared."""
    base, work = head.commit.base, None
    for _ in range(_ATTEMPTS):
        work = _Rollback(store, head, terms, progress, work)
        try:
            return work.publish()
        except CommitRefusedError:
            newer = find_head(store, head)
            if newer is None or newer is head or newer.commit.base != base:
                raise
            check_writable(newer.commit)
            head = newer
    raise CommitRefusedError(head.commit.number + 1, "again and again")


class _Rollback:
    """One attempt, from one head; on top of what an attempt before it has put, if there was any.

    Attributes:
        tally: what is copied.
        further: what would be good again under further names and keys of CAs.
        made: the generation as it was to be published; None: it has not come to that.
        copies: how many packs of overlays, the first ones, have what was copied.
        ended: revocations that are remembered though their certificates end.
    """

    def __init__(
        self, store: Store, head: Head, terms: RollbackTerms, progress: Progress, before: "_Rollback | None" = None
    ) -> None:
        self._store = store
        self._head = head
        self._terms = terms
        self._progress = progress
        self._now = clock.seconds(clock.now())
        self._limit = self._now + terms.every_s  # when the next run comes
        self._target = _target(store, head.commit, terms.to)
        self._refuse_cleaned_up()
        self.made: Manifest | None = None
        self.copies: int = before.copies if before else 0
        self.ended: EndedMeanwhile = before.ended if before else EndedMeanwhile()
        newest = Generation(store, head)
        target = self._earlier(newest, before)
        self._refuse_lost_issuers(newest, target)
        self._holds_until = shards_end(target.manifest, {name: one.tables for name, one in target.tables.items()})
        self._refuse_early_end(self._holds_until)
        try:
            overlays: Overlays = {}  # which the generations mostly share
            self._viewers = Viewer(store, target, overlays), Viewer(store, newest, overlays)
            others = () if before else _between(store, head, terms.to)
            self._between = [Viewer(store, Generation(store, one, newest), overlays) for one in others]
            self.tally: RollbackTally = before.tally if before else RollbackTally(self._limit)
            later = (self.newest, *self._between)
            self.further: FurtherKeys = before.further if before else FurtherKeys(self._viewers[0], later)
            self.further.look_at(*self._viewers)
            if before is None:
                self.tally.add_overlays(self._viewers[0].whole_overlays())
        except FileNotFoundError as e:
            raise _missing(e) from e
        self._before = Earlier(before.newest, before.copies) if before else None

    @property
    def newest(self) -> Viewer:
        """The head that this is made from."""
        return self._viewers[1]

    def _earlier(self, newest: Generation, before: "_Rollback | None") -> Generation:
        """Return the generation to go back to, with what was copied already."""
        if before is None or before.made is None:
            return Generation(self._store, self._target, newest)
        octets = encode_manifest(before.made)
        name = manifest_name(octets)
        self._store.put(name, octets)
        return Generation(self._store, Head(replace(self._target.commit, manifest=name), b""), newest)

    def look(self) -> RolledBack:
        """Say what would be done."""
        for _ in self._compared():
            pass
        self._refuse_freed()
        self._refuse_forgotten()
        self._refuse_tally()
        return self._done(self._head.commit)

    def publish(self) -> RolledBack:
        """Do it."""
        target, newest = self._viewers
        copier, is_first = Copier(self._store), self._before is None
        merges = is_first and overlay_count(target.generation.manifest.overlays) >= MOST_OVERLAYS
        low = 0
        for compared in self._compared():
            copy_chosen(compared, copier)
            if merges:
                copy_overlays(target, compared, low, copier)
            copier.close_range(compared.high)
            low = compared.high
        self._refuse_freed()
        self._refuse_forgotten()
        self._refuse_tally()
        packs = copier.finish() if copier.parts else ()
        manifest = target.generation.manifest
        kept = () if merges else manifest.overlays
        parts = tuple(copier.parts)
        history = manifest.history
        if target.index is not None:
            before = () if merges else target.index.overlays
            ended = self.ended.put(self._store, target.index, newest.index, self._now)
            history, octets = encode_index(replace(target.index, overlays=(*parts, *before), ended=ended))
            self._store.put(history, octets)
        overlays = (*packs, *kept)
        manifest = replace(
            manifest,
            overlays=overlays,
            overlay_keys=put_overlay_keys(self._store, overlays, target.generation),
            gates=gates_document([self._result()]),
            history=history,
            probed_at=newest.generation.manifest.probed_at,
        )
        self.made, self.copies = manifest.dated(self._target.commit.as_of), self.copies + len(packs)
        self._refuse_cleaned_up(named_directly(self._target.commit, manifest))
        commit = self._committed(manifest)
        return self._done(commit)

    def _committed(self, manifest: Manifest) -> Commit:
        author, target = self._terms.author, self._target.commit
        terms = CommitTerms(
            publisher=new_publisher(),
            as_of=target.as_of,
            started_at=self._now,
            kind=ROLLBACK,
            by=author.by,
            note=author.note,
        )
        with uninterruptible() as done:
            head, _ = publish(self._store, self._head, manifest, terms)
            done()
        return head.commit

    def _compared(self) -> Iterator[Compared]:
        accepted = {one.gate for one in self._terms.accept}
        rules = CopyRules(self._limit, unrevoke="unrevoke" in accepted, shrink="shrink" in accepted)
        target, newest = self._viewers
        try:
            is_whole = self.further.has_any
            for compared in compare(target, newest, self._between, rules, self._before, is_whole=is_whole):
                self.tally.add(compared)
                self.further.add(compared)
                self.ended.add(compared)
                yield compared
                self._progress("compare", compared.high, 1 << 32)
        except FileNotFoundError as e:
            raise _missing(e) from e

    def _done(self, commit: Commit) -> RolledBack:
        return RolledBack(
            commit=commit,
            to=self._target.commit,
            tally=self.tally,
            holds_until=min(self._holds_until, self.tally.holds_until),
            warnings=self._unneeded(),
        )

    def _result(self) -> GateResult:
        figures = {"to": self._target.commit.number, "reason": self._terms.reason, **self.tally.figures()}
        accepted = tuple(one for one in self._terms.accept if self.tally.left[one.gate])
        outcome: GateOutcome = "accepted" if accepted else "passed"
        return GateResult(gate=ROLLBACK, outcome=outcome, figures=figures, acceptances=accepted)

    def _unneeded(self) -> tuple[Finding, ...]:
        return tuple(
            Finding("accept.unneeded", "warning", f"--accept {one.gate}: nothing needed it; leave it out next time")
            for one in self._terms.accept
            if not self.tally.left[one.gate]
        )

    def _refuse_cleaned_up(self, further: frozenset[str] = frozenset()) -> None:
        """Refuse what a cleaning has taken a part of, or has announced to; `further` names what was put here."""
        number = self._target.commit.number
        try:
            named = Naming(self._store).of(self._target.commit)
            gone = (named | further) & removed_since(self._store, number, self._head.commit)
        except FileNotFoundError as e:
            raise _refusal("rollback.cleaned-up", f"commit {number} was cleaned up ({e.filename or e})") from e
        if gone:
            raise _refusal("rollback.cleaned-up", f"commit {number} was cleaned up", sorted(gone)[:MAX_EXAMPLES])

    def _refuse_lost_issuers(self, newest: Generation, target: Generation) -> None:
        """Refuse to take an issuer back: all its certificates would be unauthorized."""
        had = {one.issuer_id for loaded in target.tables.values() for one in loaded.tables.issuers}
        lost = {
            one.issuer_id: one.label
            for loaded in newest.tables.values()
            for one in loaded.tables.issuers
            if one.issuer_id not in had
        }
        if lost:
            names = sorted(lost.values())
            text = f"commit {target.commit.number} does not know {', '.join(names[:MAX_EXAMPLES])}, which would vanish"
            raise _refusal("rollback.issuer", text, names[:MAX_EXAMPLES])

    def _refuse_early_end(self, end: int) -> None:
        """Refuse a generation whose answers do not hold until the next run."""
        if end < self._limit:
            text = (
                f"answers of commit {self._target.commit.number} end at {clock.text(end)}, and the next run is to be "
                f"expected by {clock.text(self._limit)}"
            )
            raise _refusal("rollback.window", text)

    def _refuse_freed(self) -> None:
        """Refuse to make good again under one name or key of a CA what was revoked under others, but by name."""
        try:
            freed = self.further.freed()
        except FileNotFoundError as e:
            raise _missing(e) from e
        if "unrevoke" in {one.gate for one in self._terms.accept}:
            is_left = freed.origin == Origin.RUN
            self.tally.leave(self.further.leave(freed.take(is_left)))
            freed = freed.take(~is_left)
        if not len(freed):
            return
        labels = sorted({self.further.label(number) for number in freed.issuers.tolist()})
        text = (
            f"{len(freed):,} certificates are revoked or on hold under another name or key of their CA, and commit "
            f"{self._target.commit.number} answers good for them under {', '.join(labels[:MAX_EXAMPLES])}, under which "
            "nothing is published that could be copied: let a run answer for that name or key once more (write its "
            "[[issuer]] again, with also, or name its certificate in certificate), or say --accept unrevoke, which "
            "leaves what runs have revoked to that commit; what an urgent change said, a run must have confirmed first"
        )
        examples = [
            f"serial {serial_text(freed.serial(place))} under {self.further.label(int(freed.issuers[place]))}"
            for place in range(min(len(freed), MAX_EXAMPLES))
        ]
        raise _refusal("rollback.further-key", text, examples, len(freed))

    def _refuse_forgotten(self) -> None:
        """Refuse a generation without history, which cannot remember what has ended of revocations, but by name."""
        if self._viewers[0].index is not None or "unrevoke" in {one.gate for one in self._terms.accept}:
            return
        try:
            count = self.ended.count(self._store, self.newest.index)
        except FileNotFoundError as e:
            raise _missing(e) from e
        if count:
            text = (
                f"commit {self._target.commit.number} has no history, so that {count:,} revocations whose certificates "
                "have ended would be forgotten: go back to a later commit, or say --accept unrevoke"
            )
            raise _refusal("rollback.ended", text, count=count)

    def _refuse_tally(self) -> None:
        """Refuse to publish single answers that do not hold until the next run."""
        if self.tally.early:
            text = (
                f"{self.tally.early:,} of the answers in overlays, copied ones among them, end before the next run, "
                f"which is to be expected by {clock.text(self._limit)}"
            )
            raise _refusal("rollback.window", text, self.tally.early_examples)


def _target(store: Store, head: Commit, number: int) -> Head:
    """Return the commit to go back to."""
    if not 1 <= number < head.number:
        text = "is the current one" if number == head.number else "is none of this store"
        raise UsageError(f"--to {number}: {text}; pregen history {store.url} shows which commits there are")
    try:
        found = read_commit(store, number)
    except FormatError as e:
        raise _refusal("rollback.damaged", str(e)) from e
    if found is None:
        raise _refusal("rollback.damaged", f"commit {number} is lost")
    return found


def _between(store: Store, head: Head, to: int) -> Iterator[Head]:
    """Yield the last commit of each generation between the head's and a commit, the newest first."""
    base = head.commit.base
    for logged in walk_back(store, head, to=to + 1):
        if logged.commit is None:
            raise _refusal("rollback.damaged", f"{logged.damage}: nobody knows what it had revoked")
        if logged.commit.base != base:
            base = logged.commit.base
            found = read_commit(store, logged.number)
            if found is not None:
                yield found


def _missing(lost: FileNotFoundError) -> GateError:
    return _refusal("rollback.cleaned-up", f"{lost.filename or lost} is missing, so nobody can go back there")


def _refusal(code: str, text: str, examples: Sequence[str] = (), count: int | None = None) -> GateError:
    message = "the generation cannot be taken back; nothing was published"
    return GateError(message, [Finding(code, "error", text, count or max(1, len(examples)), tuple(examples))])
