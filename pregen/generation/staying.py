"""What stays in overlays when a run is over: told of, and spooled to be signed as one overlay of the new generation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.generation.comparing.counting import CountingJob, CountTask, ShardCounter
from pregen.generation.comparing.tally import add_up
from pregen.generation.preparation import Prepared
from pregen.generation.rows.groups import Group
from pregen.generation.rows.parts import spooled
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.sharding import record_bytes, rows_wanted
from pregen.generation.rows.spill import SPILLED, Spilled
from pregen.generation.rows.truth import KIND_OF_STATUS, Overlaid, Staying, is_revoked, staying_between
from pregen.generation.workplace import Workplace
from pregen.overlays import Entries
from pregen.overlays.entries import newest, under
from storage.certid import serial_text
from storage.key import KEY32, split

_ACCEPTED = frozenset({"shrink", "shrink.vanished"})


@dataclass(frozen=True, slots=True)
class StayingRows:
    """What stays, spooled and counted like rows of a snapshot, in as few ranges of keys as packs are needed.

    Attributes:
        parts: all of it, as it was found: there may be millions, which nothing copies as a whole.
        files: the ranges.
        groups: rows of each group.
        proofs: by range, groups that are seen there first.
    """

    parts: tuple[Staying, ...] = ()
    files: tuple[ShardFile, ...] = ()
    groups: dict[Group, int] = field(default_factory=dict)
    proofs: dict[int, frozenset[Group]] = field(default_factory=dict)


def overlaid_of(prepared: Prepared) -> Overlaid | None:
    """Return what the overlays of the current generation say of the issuers of a run; None: nothing.

    What is said of an issuer counts for its further names and keys too, also for those that are new.
    """
    ids = np.array([issuer.issuer_id for issuer in prepared.issuers], np.uint64)
    entries = with_further_keys(prepared, prepared.past.overlays.of_issuers(ids.tolist()))
    if not len(entries):
        return None
    return Overlaid(
        entries,
        ids,
        clock.seconds(prepared.snapshot.as_of),
        is_lack_accepted=any(one.gate in _ACCEPTED for one in prepared.accept),
    )


def with_further_keys(prepared: Prepared, said: Entries) -> Entries:
    """Return what overlays say, and the same of all names and keys that answer for the same rows.

    A name or key that is new in this generation, or again there, has it from all others of its CA.
    """
    tables = prepared.current.tables.values() if prepared.current else ()
    known = {issuer.issuer_id for loaded in tables for issuer in loaded.tables.issuers}
    further = [
        under(said.of_issuers([prepared.issuers[source].issuer_id]), issuer.issuer_id)
        for index, issuer in enumerate(prepared.issuers)
        for source in (issuer.rows_of if issuer.issuer_id in known else _same_rows(prepared, index))
    ]
    if not any(map(len, further)):
        return said
    final = [entries.take(entries.is_final) for entries in further]
    return newest([said, *final, *further])


def _same_rows(prepared: Prepared, index: int) -> list[int]:
    """Return the other issuers that answer for rows of one, or for whose rows it answers."""
    mine = {index, *prepared.issuers[index].rows_of}
    return [
        other
        for other, issuer in enumerate(prepared.issuers)
        if other != index and not mine.isdisjoint({other, *issuer.rows_of})
    ]


def ahead(prepared: Prepared, staying: Sequence[Staying]) -> tuple[Finding, ...]:
    """Return a warning of what is revoked or on hold in overlays, and not in the snapshot; by ascending keys."""
    as_of = clock.seconds(prepared.snapshot.as_of)
    names = {issuer.issuer_id: issuer.names[0] for issuer in prepared.issuers}
    count = lacking = newer = 0
    examples: list[str] = []
    for part in staying:
        entries, (places,) = part.entries, np.nonzero(part.is_ahead)
        count += len(places)
        lacking += int(np.count_nonzero(part.is_lacking[places]))
        newer += int(np.count_nonzero(entries.as_of[places] > as_of))
        examples += (
            f"{serial_text(entries.serial(at))} of {names[int(entries.issuers[at])]}"
            for at in places[: MAX_EXAMPLES - len(examples)].tolist()
        )
    if not count:
        return ()
    text = (
        "these certificates are revoked or on hold by an urgent change or an earlier generation, and the snapshot does "
        f"not say so ({lacking:,} of them it does not have, and {newer:,} changed after its as_of): they stay as they "
        "are; enter it at the source, and if it was wrong, name them good in a delta with --accept unrevoke"
    )
    return (Finding("overlay.ahead", "warning", text, count, tuple(examples)),)


def spool_staying(prepared: Prepared, place: Workplace, staying: Sequence[Staying], first: int = 0) -> StayingRows:
    """Spool what stays, and count it.

    Args:
        prepared: for whom.
        place: where the rows go, and who counts them.
        staying: the parts of what stays.
        first: number of its first range; the shards have those below.

    Raises:
        SpoolError: they cannot be written.
    """
    count = sum(len(one.entries) for one in staying)
    if not count:
        return StayingRows()
    ids = np.array([issuer.issuer_id for issuer in prepared.issuers], np.uint64)
    parts = -(-count // rows_wanted(record_bytes(prepared.issuers)))
    bounds = split(0, KEY32, parts)
    files = [
        ShardFile(number, low, high, spooled(place.spool, spilled_of(some, ids)))
        for number, (low, high) in enumerate(pairwise(bounds), start=first)
        if len(some := staying_between(staying, low, high).entries)
    ]
    tasks = [CountTask(file, None, prepared.endings) for file in files]
    tally = add_up(place.pool.map(ShardCounter, CountingJob(), tasks))
    return StayingRows(
        tuple(one for one in staying if len(one.entries)),
        tuple(replace(file, digest=tally.digests[file.number]) for file in files),
        tally.groups,
        tally.proofs,
    )


def spilled_of(entries: Entries, ids: NDArray[np.uint64]) -> Spilled:
    """Return entries as rows of a spill file; `ids`, uint64[issuers], are what issuers are known by."""
    rows = np.zeros(len(entries), SPILLED)
    order = np.argsort(ids)
    issuer = order[np.searchsorted(ids[order], entries.issuers)]
    kind = KIND_OF_STATUS[entries.status] + (is_revoked(entries.status) & (entries.reason >= 0))
    rows["key"] = entries.keys
    rows["row"] = np.arange(len(entries))
    rows["not_after"] = entries.not_after
    rows["revoked_at"] = entries.revoked_at
    rows["code"] = (issuer << 8) | (entries.sizes.astype(np.intp) << 2) | kind
    rows["reason"] = entries.reason
    rows["serial"] = np.ascontiguousarray(entries.serials).view(SPILLED["serial"])[:, 0]
    return rows
