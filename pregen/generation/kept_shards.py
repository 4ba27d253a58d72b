"""What of the current generation may be kept, unread: shards of which nothing is due, and that were made as tonight.

What can be said without the rows is found here, before they are counted. A shard may be kept if

1. its key range is what it was, its pack is there, and the history says what it was made of;
2. no record in it is due, or has its turn tonight, by what its windows and runs say: where the shard may not have the
   run, it counts all the same;
3. what a signature of today would have is what its runs have (`terms.py`), and what readers learn of issuers is what
   they would learn tonight;
4. not too many documents of windows are named: those of the oldest go.

Whether its rows are what they were is found by whoever counts them (`makings.keeping_of`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pregen import clock
from pregen.generation.comparing.makings import Former, Keepable, Makings
from pregen.generation.looking_back import LookBack
from pregen.generation.making.plan import forms, stored_issuer
from pregen.generation.making.templates import make_template
from pregen.generation.making.terms import FormerRun
from pregen.generation.preparation import Prepared
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.issuers import Issuer
from pregen.validity import Fit, Refreshing
from storage.history import HistoryPart
from storage.manifest import Shard
from storage.stores import Store
from storage.tables import StoredIssuer, Tables

# A manifest names 16 documents of windows at most: tonight's, seven of shards that are kept, and one of each overlay.
KEPT_DOCUMENTS = 7
_USUAL_SERIAL_BYTES = 16  # templates for other lengths are made in the same way
_REQUESTS = 16  # at once, of a store that is not local


def find_keepable(prepared: Prepared, back: LookBack, bounds: Sequence[int]) -> Keepable:
    """Return what of the current generation may be kept, if its rows have not changed.

    Args:
        prepared: with the current generation.
        back: its runs, held against today's configuration.
        bounds: where keys are cut into shards tonight.

    Raises:
        OSError: the store does not say which packs are there.
    """
    makings, current = makings_of(prepared.issuers), prepared.current
    if prepared.full or back.why_all or current is None or prepared.past.history is None:
        return Keepable(makings)
    ranges, issuers = set(pairwise(bounds)), {one.issuer_id: stored_issuer(one) for one in prepared.issuers}
    documents = {
        name: _WindowsDocument(back.tables[name], runs, prepared.refreshing)
        for name, runs in back.former.items()
        if _tells_the_same(back.tables[name], issuers)
    }
    keepable = [
        former
        for former in _with_parts(current.manifest.shards, prepared.past.parts)
        if (former.shard.low, former.shard.high) in ranges
        and (document := documents.get(former.shard.windows))
        and document.holds(former.shard)
    ]
    keepable = _of_few_documents(keepable, documents)
    there = _which_exist(prepared.store, [former.shard.pack for former in keepable])
    kept = (former for former, is_there in zip(keepable, there, strict=True) if is_there)
    return Keepable(makings, {(former.shard.low, former.shard.high): former for former in kept})


class _Turn(NamedTuple):
    """What some runs of a document have in common.

    Attributes:
        refresh_by, next_update: of their window.
        stays: whether their records would be carried over tonight, but for those that have their turn.
        low, high: key range of those that have their turn tonight; empty: none has.
    """

    refresh_by: int
    next_update: int
    stays: bool
    low: int
    high: int


class _WindowsDocument:
    """A document of windows of the current generation: what its runs say of the shards that name it."""

    def __init__(self, tables: Tables, runs: Sequence[FormerRun], refreshing: Refreshing) -> None:
        self.newest = max((window.produced_at for window in tables.windows), default=0)
        # Where that is in this period, its shards were written in it, and what has its turn in it was signed there.
        is_spread = refreshing.spread and not refreshing.made_now(self.newest)
        # With many issuers there are many runs, and few that differ in any of this.
        self._turns = {_turn(run, refreshing, is_spread=is_spread) for run in runs}

    def holds(self, shard: Shard) -> bool:
        """Tell whether all records of a shard would be carried over, if their rows have not changed."""
        may_be_there = [
            one for one in self._turns if shard.refresh_by <= one.refresh_by and one.next_update <= shard.next_update
        ]
        return bool(may_be_there) and all(
            one.stays and not (one.low < shard.high and shard.low < one.high) for one in may_be_there
        )


def _turn(run: FormerRun, refreshing: Refreshing, *, is_spread: bool) -> _Turn:
    window, judged = run.window, run.judged
    stays = run.may_carry and judged is not None and judged.fit != Fit.NONE
    stays = stays and not refreshing.due(window.refresh_by, window.next_update)
    low, high = refreshing.slot(judged.cycle) if judged and is_spread else (0, 0)
    return _Turn(window.refresh_by, window.next_update, stays, low, high)


def _tells_the_same(tables: Tables, issuers: dict[int, StoredIssuer]) -> bool:
    """Tell whether readers learn of the issuers in tables what they would learn tonight, and of no other one."""
    return all(issuers.get(one.issuer_id) == one for one in tables.issuers)


def _with_parts(shards: Iterable[Shard], parts: Sequence[HistoryPart]) -> list[Former]:
    """Return the shards of which the history says what they were made of; both are by ascending keys."""
    of_range = {(part.low, part.high): part for part in parts}
    lows, highs = [part.low for part in parts], [part.high for part in parts]
    former = []
    for shard in shards:
        part = of_range.get((shard.low, shard.high))
        if part is None:
            first = int(np.searchsorted(highs, shard.low, side="right"))
            is_empty = not shard.rows and (first == len(parts) or lows[first] >= shard.high)
            if is_empty:
                former.append(Former(shard, None))
        elif part.digest is not None:
            former.append(Former(shard, part))
    return former


def _of_few_documents(keepable: list[Former], documents: dict[str, _WindowsDocument]) -> list[Former]:
    """Return shards that name no more documents than may be kept: those of the newest ones."""
    named = sorted({former.shard.windows for former in keepable}, key=lambda name: (-documents[name].newest, name))
    few = set(named[:KEPT_DOCUMENTS])
    return [former for former in keepable if former.shard.windows in few]


def _which_exist(store: Store, names: Sequence[str]) -> list[bool]:
    """Tell which objects are there: one that is gone is made again, instead of being named for ever."""
    if store.is_local:
        return [store.exists(name) for name in names]
    with ThreadPoolExecutor(_REQUESTS) as threads:
        return list(threads.map(store.exists, names))


def makings_of(issuers: Sequence[Issuer]) -> Makings:
    """Return what tells the shards of a run apart beside their rows."""
    return Makings(
        ids=np.array([issuer.issuer_id for issuer in issuers], np.uint64),
        ends=np.array([issuer.validity.ends_with_certificate for issuer in issuers], np.bool_),
        terms=tuple(_terms_of(issuer) for issuer in issuers),
    )


def _terms_of(issuer: Issuer) -> bytes:
    """Return a digest of all that decides what the answers of an issuer are made of, and whether they may be kept."""
    responder, validity = issuer.responder, issuer.validity
    named = (
        responder.algorithm,
        responder.id_kind,
        issuer.cert_ids,
        validity.profile.name,
        validity.lifetime,
        validity.backdate,
        validity.ends_with_certificate,
        clock.seconds(issuer.not_after),
    )
    templates = [
        make_template(form)
        for kind in range(len(RESPONSE_KINDS))
        for form in forms(issuer, Group(0, _USUAL_SERIAL_BYTES, kind))
    ]
    texts = [repr(one).encode() for one in (named, templates)]
    total = hashlib.sha256()
    for part in (responder.certificate or b"", responder.id_octets, *texts):
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.digest()
