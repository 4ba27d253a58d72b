"""A run that was overtaken: urgent changes and cleanings that were published while it worked are taken over.

What the new head's overlays say beside what the run has heard is held against its rows, by the order of truth
(`pregen.overlays.order`). Whatever they revoke stays. What they say good or on hold goes where the run revokes it for
good, or knows better, and what the run has heard is its own by now: then the rest becomes one overlay, whose records
are carried over as those of a run are. Else their packs are named as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.errors import PublishError
from pregen.gates.comparison import Remembered, RememberedStatus
from pregen.generation.left_behind import as_stored
from pregen.generation.looking_back import look_back
from pregen.generation.making.plan import make_plan
from pregen.generation.overlaying import StayingPack, sign_staying
from pregen.generation.preparation import Prepared
from pregen.generation.rows.truth import Staying
from pregen.generation.signing import put_tables, put_windows, signing_job
from pregen.generation.staying import StayingRows, spool_staying, with_further_keys
from pregen.generation.survey import Survey
from pregen.generation.worklist import tasks_of
from pregen.generation.workplace import open_workplace
from pregen.overlays import Entries, Origin, resolve
from pregen.overlays.entries import found, paired
from pregen.overlays.order import RowsSay
from pregen.overlays.records import MOST_OVERLAYS, overlay_count, read_overlays
from pregen.snapshot import NO_REASON
from storage.commits import Head, check_writable, find_head
from storage.errors import CommitRefusedError, FormatError
from storage.history import HistoryIndex, HistoryPart, read_index, read_part
from storage.manifest import Shard
from storage.overlay_part import OverlayPart
from storage.reader import Generation
from storage.removals import removed_since
from storage.stores import Store


@dataclass(frozen=True, slots=True)
class OnTop:
    """What a generation is published after, and the overlays that it has.

    Attributes:
        head: the newest commit; None: there is none.
        current: its generation.
        overlays: of the new generation, the newest first.
        parts: what is remembered of them, in the same order.
    """

    head: Head | None
    current: Generation | None
    overlays: tuple[Shard, ...]
    parts: tuple[OverlayPart, ...]

    @classmethod
    def planned(cls, prepared: Prepared, staying: Sequence[StayingPack]) -> "OnTop":
        """Return what a run was planned for."""
        overlays = tuple(one.signed.shard for one in staying)
        return cls(prepared.head, prepared.current, overlays, tuple(one.part for one in staying))


def taken_over(
    prepared: Prepared,
    survey: Survey,
    shards: Sequence[Shard],
    parts: Sequence[HistoryPart],
    planned: OnTop,
    before: OnTop,
    refused: CommitRefusedError,
) -> OnTop:
    """Return what to publish after instead, with what was published in between.

    Args:
        prepared: the run.
        survey: what came in.
        shards: what it publishes.
        parts: what the history says of these.
        planned: what it was planned for.
        before: what was tried last.
        refused: what came of it.

    Raises:
        CommitRefusedError: another run or a rollback was first, or nobody was.
        PublishError: what was published in between cannot be read, or removes what this run publishes.
        StorageError, OSError: the store does not answer, or needs a newer publisher.
    """
    store = prepared.store
    head = find_head(store, before.head)
    if head is None or before.head is None or head is before.head:
        raise refused
    if prepared.head is None or head.commit.base != prepared.head.commit.base:
        raise refused
    check_writable(head.commit)
    _refuse_removed(store, prepared.head, head, [*shards, *planned.overlays], [*parts, *planned.parts])
    current = Generation(store, head, before.current)
    heard = {one.pack for one in prepared.current.manifest.overlays} if prepared.current else set()
    fresh = tuple(one for one in current.manifest.overlays if one.pack not in heard)
    index = _index(store, current)
    said = read_overlays(store, current, index, fresh)
    if said.damage:
        raise PublishError(
            f"commit {head.commit.number} was published meanwhile, and cannot be read: {'; '.join(said.damage)}; "
            "nothing was published"
        )
    known = {part.pack: part for part in index.overlays} if index else {}
    entries = with_further_keys(prepared, said.entries)
    goes = _goes(prepared, survey.staying, parts, entries)
    is_room = overlay_count(fresh) + bool(planned.overlays) <= MOST_OVERLAYS
    is_whole = len(entries) == len(said.entries) and not goes.any()
    if is_room and is_whole and all(one.pack in known for one in fresh):
        news = OnTop(head, current, fresh, tuple(known[one.pack] for one in fresh))
    else:
        news = OnTop.planned(prepared, _made(_on_top_of(prepared, current), entries.take(~goes)))
    return OnTop(head, current, news.overlays + planned.overlays, news.parts + planned.parts)


def _refuse_removed(
    store: Store, since: Head, head: Head, shards: Sequence[Shard], parts: Sequence[HistoryPart | OverlayPart]
) -> None:
    """Refuse to name what a cleaning has removed, or has said that it will."""
    names = {name for one in shards for name in (one.pack, one.windows)} | {one.name for one in parts}
    if gone := sorted(names & removed_since(store, since.commit.number, head.commit)):
        raise PublishError(
            f"a cleaning meanwhile has removed {len(gone):,} objects that this run would publish, such as {gone[0]}: "
            "nothing was published; run again"
        )


def _index(store: Store, current: Generation) -> HistoryIndex | None:
    if current.manifest.history is None:
        return None
    try:
        return read_index(store, current.manifest.history)
    except (FormatError, FileNotFoundError):  # statuses count all the same, and the next run tells of it
        return None


def _goes(
    prepared: Prepared, staying: StayingRows, parts: Sequence[HistoryPart], entries: Entries
) -> NDArray[np.bool_]:
    """Return which entries must not stay above the shards of a run, bool[n]."""
    goes = ~np.isin(entries.issuers, [issuer.issuer_id for issuer in prepared.issuers])
    goes[_heard(prepared.past.overlays, entries)] = True  # which a merge has put into another pack
    status = _status_in_shards(prepared.store, parts, entries)
    # These are revoked in the shards by the overlays alone that the run has heard, and so has whoever was first.
    for part in staying.parts:
        mine, theirs = paired(entries, part.entries)
        status[mine[~part.is_final_there[theirs]]] = -1
    (places,) = np.nonzero((status >= 0) & ~entries.is_final)
    count = len(places)
    row = RowsSay(
        status=status[places].astype(np.uint8),
        revoked_at=np.zeros(count, np.uint32),
        reason=np.full(count, NO_REASON, np.int8),
        as_of=np.full(count, clock.seconds(prepared.snapshot.as_of), np.int64),
        origin=np.full(count, Origin.RUN, np.uint8),
    )
    goes[places] |= resolve(entries.take(places), row).is_confirmed
    return goes


def _heard(before: Entries, entries: Entries) -> NDArray[np.intp]:
    """Return the places of entries that say no more than what the run has heard."""
    mine, theirs = paired(entries, before)
    same = np.ones(len(mine), np.bool_)
    for name in ("status", "revoked_at", "reason", "as_of", "origin"):
        same &= getattr(entries, name)[mine] == getattr(before, name)[theirs]
    return mine[same]


def _status_in_shards(store: Store, parts: Sequence[HistoryPart], entries: Entries) -> NDArray[np.int8]:
    """Return what the shards of a run say of certificates, `RememberedStatus` int8[n]; -1: they do not have them.

    They are known by their keys; of certificates that share one, revoked for good counts.
    """
    status = np.full(len(entries), -1, np.int8)
    for part in parts:
        start, end = (np.searchsorted(entries.keys >> np.uint64(32), np.uint64(edge)) for edge in (part.low, part.high))
        if (entries.is_final[start:end]).all():
            continue
        kept = Remembered.of_columns(read_part(store, part))
        which, place = found(kept.keys, entries.keys[start:end])
        said = kept.status[place].astype(np.int8)
        status[start + which] = said
        status[start + which[said == RememberedStatus.REVOKED]] = RememberedStatus.REVOKED
    return status


def _on_top_of(prepared: Prepared, current: Generation) -> Prepared:
    """Return a run that carries records over from a newer generation than it was planned for."""
    path = prepared.config.path
    issuers = tuple(as_stored(path, one, current) if one.trouble else one for one in prepared.issuers)
    # What landed meanwhile begins after the run did, and is not of the future for that.
    now = max(prepared.refreshing.now, clock.seconds(clock.now()))
    return replace(prepared, current=current, issuers=issuers, refreshing=replace(prepared.refreshing, now=now))


def _made(prepared: Prepared, entries: Entries) -> list[StayingPack]:
    """Return the packs of an overlay that says what entries do."""
    store, nothing = prepared.store, np.zeros(len(entries), np.bool_)
    with open_workplace(prepared) as place:
        rows = spool_staying(prepared, place, (Staying(entries, nothing, nothing),))
        if not rows.files:
            return []
        back = look_back(prepared)
        plan = make_plan(
            prepared.issuers, prepared.windows, sorted(rows.groups), prepared.current_tables, back.candidates
        )
        put_tables(store, plan)
        job = signing_job(prepared, plan, back.job(plan))
        packs = sign_staying(job, tasks_of(prepared, rows, back), rows.parts, place.pool)
        plan = put_windows(store, plan, [one.signed for one in packs])
    return [replace(one, signed=one.signed.with_windows(plan.name)) for one in packs]
