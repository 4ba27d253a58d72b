"""One range of keys, in a worker: rows are held against the head, and what changes is spooled to be signed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.comparison import RememberedStatus
from pregen.generation.making.left_out import NOTHING_LEFT_OUT, LeftOut
from pregen.generation.rows.counts import NO_EXAMPLES, NOTHING_COUNTED, Examples, RowCounts
from pregen.generation.rows.endings import Endings
from pregen.generation.rows.groups import RESPONSE_KINDS, STATUS_OF_KIND, Group
from pregen.generation.rows.parts import Pieces, spooled
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.rows.spill import AGAIN_BIT, SPILLED, Spilled
from pregen.generation.rows.spool import Spool
from pregen.reasons import CERTIFICATE_HOLD
from pregen.urgent.deciding import UNDOING, Fate, Statements, decide
from pregen.urgent.orders import ChangeKind
from pregen.urgent.published import Lookout
from storage.commits import Head
from storage.history import HistoryIndex
from storage.reader import Generation
from storage.stores import Store

_KIND_OF = {status: number for number, (status, has_reason) in enumerate(RESPONSE_KINDS) if not has_reason}
_REVOKED_WITH_REASON = RESPONSE_KINDS.index(("revoked", True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By what rules rows are held against the head.

    Attributes:
        kind: of the change.
        says_when: see `pregen.urgent.deciding.decide`.
        accepts_unrevoke: whether it was accepted by name that final revocations are taken back.
        expired_before: see `pregen.generation.rows.rows.load_shard`.
    """

    kind: ChangeKind
    says_when: bool = False
    accepts_unrevoke: bool = False
    expired_before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvingJob:
    """What a worker needs to hold rows against the head; it pickles.

    Attributes:
        open_store: opens the store, in the process that calls it.
        head: the newest commit.
        index: what it has left behind for gates.
        issuer_ids: uint64[n], by the numbers in rows: of the issuers, then of other names and keys of their CAs.
        rules: of the change.
        as_of: the instant for which it is right, in seconds since 1970.
        endings: which certificates get a window that ends with them; None: none do.
        spool: where rows wait, and what is to be signed.
        unable: bool[issuers], which cannot sign.
    """

    open_store: Callable[[], Store]
    head: Head
    index: HistoryIndex | None
    issuer_ids: NDArray[np.uint64]
    rules: Rules
    as_of: int
    spool: Spool
    endings: Endings | None
    unable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ResolvingTask:
    """One range of keys."""

    file: ShardFile

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file.label


@dataclass(frozen=True, slots=True)
class Example:
    """One certificate of a fate: its issuer's index, its serial, and where its row stands."""

    issuer: int
    serial: bytes
    row: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What becomes of the certificates of a range.

    Attributes:
        file: what is to be signed.
        groups: rows of each group of these.
        fates: how many certificates have which fate.
        examples: of each fate, the first ones.
        revoked: how many of those that land were not revoked, and are.
        new: how many of those that land nobody knew.
        newest: the latest instant for which what the head says of any of them is right, in seconds since 1970.
        counts: what became of rows that are no certificate's own.
        pairs: of these, the first ones.
        unsigned: what would land, but for its issuers, which cannot sign.
        elsewhere: by the number of another name or key of a CA, certificates that stay there as they were, though they
            change under this one: how many, and the first ones.
    """

    file: ShardFile
    groups: dict[Group, int]
    fates: dict[Fate, int] = field(default_factory=dict)
    examples: dict[Fate, tuple[Example, ...]] = field(default_factory=dict)
    revoked: int = 0
    new: int = 0
    newest: int = 0
    counts: RowCounts = NOTHING_COUNTED
    pairs: Examples = NO_EXAMPLES
    unsigned: LeftOut = NOTHING_LEFT_OUT
    elsewhere: dict[int, tuple[int, tuple[Example, ...]]] = field(default_factory=dict)


class Resolver:
    """Holds rows against the head.

    Args:
        job: what is needed.
        current: the generation of the head, where it is open already.
    """

    def __init__(self, job: ResolvingJob, current: Generation | None = None) -> None:
        self._job = job
        store = job.open_store()
        self._lookout = Lookout(store, current or Generation(store, job.head), job.index, job.issuer_ids)

    def __call__(self, task: ResolvingTask) -> Resolved:
        """Return what becomes of the certificates of a range.

        Raises:
            SpoolError: its rows cannot be read, or not be written.
            FormatError: what the head says is damaged.
            OSError: the store does not answer.
        """
        job, file = self._job, task.file
        rows = load_shard(file, job.rules.expired_before)
        standing = self._lookout.look_up(rows)
        spilled = rows.spilled(np.arange(len(rows.keys))) if len(rows.keys) else np.empty(0, SPILLED)
        is_again = spilled["code"] & AGAIN_BIT != 0
        decided = decide(
            job.rules.kind,
            said_of(rows),
            standing,
            as_of=job.as_of,
            says_when=job.rules.says_when,
            is_again=is_again,
        )
        landing_fates = (Fate.LANDS, *UNDOING) if job.rules.accepts_unrevoke else (Fate.LANDS,)
        issuer = rows.codes >> 8 & 0xFF_FFFF
        own = issuer < len(job.unable)
        would_land = np.isin(decided.fate, landing_fates)
        elsewhere = np.flatnonzero(would_land & ~own & standing.is_known)
        would_land &= own
        is_unsigned = would_land & job.unable[np.where(own, issuer, 0)]
        fates = np.where(is_unsigned, Fate.UNSIGNED, decided.fate)[own]
        lands, unsigned = np.flatnonzero(would_land & ~is_unsigned), np.flatnonzero(is_unsigned)
        is_revoked, was_revoked = _is_revoked(decided.said), _is_revoked(standing.said)
        newly = is_revoked & standing.is_known & ~was_revoked
        landing = _landing(spilled[lands], rows.codes[lands], decided.said, lands)
        return Resolved(
            file=replace(file, pieces=spooled(job.spool, landing)),
            groups=_groups(landing, job.endings),
            fates={fate: int(np.count_nonzero(fates == fate)) for fate in Fate},
            examples={fate: _examples(spilled, np.flatnonzero(own)[fates == fate]) for fate in Fate},
            revoked=int(np.count_nonzero(newly[lands])),
            new=int(np.count_nonzero(~standing.is_known[lands])),
            newest=int(standing.as_of[lands].max(initial=0)),
            counts=rows.counts,
            pairs=rows.examples,
            unsigned=LeftOut(
                groups=_groups(_landing(spilled[unsigned], rows.codes[unsigned], decided.said, unsigned), job.endings),
                again=int(np.count_nonzero(is_again[unsigned])),
                revoked=int(np.count_nonzero(newly[unsigned])),
            )
            if len(unsigned)
            else NOTHING_LEFT_OUT,
            elsewhere={
                number - len(job.unable): (len(some), _examples(spilled, some))
                for number in np.unique(issuer[elsewhere]).tolist()
                if len(some := elsewhere[issuer[elsewhere] == number])
            },
        )


def _is_revoked(said: Statements) -> NDArray[np.bool_]:
    return np.isin(said.status, [RememberedStatus.REVOKED, RememberedStatus.ON_HOLD])


def said_of(rows: ShardRows) -> Statements:
    """Return what rows say of their certificates."""
    status = STATUS_OF_KIND[rows.codes & 3]
    status[rows.reason == CERTIFICATE_HOLD] = RememberedStatus.ON_HOLD
    return Statements(status, rows.revoked_at, rows.reason, rows.not_after)


def _landing(spilled: Spilled, codes: NDArray[np.int64], said: Statements, lands: NDArray[np.intp]) -> Spilled:
    """Return rows as they are to be signed."""
    status, reason = said.status[lands], said.reason[lands]
    kind = np.where(
        np.isin(status, [RememberedStatus.REVOKED, RememberedStatus.ON_HOLD]), _KIND_OF["revoked"], _KIND_OF["good"]
    )
    kind[status == RememberedStatus.UNKNOWN] = _KIND_OF["unknown"]
    kind[(kind == _KIND_OF["revoked"]) & (reason >= 0)] = _REVOKED_WITH_REASON
    landing = spilled.copy()
    landing["code"] = (codes & 0xFFFF_FFFC).astype(np.uint32) | kind.astype(np.uint32)
    landing["revoked_at"], landing["reason"], landing["not_after"] = (
        said.revoked_at[lands],
        reason,
        said.not_after[lands],
    )
    return landing


def _groups(landing: Spilled, endings: Endings | None) -> dict[Group, int]:
    codes = landing["code"].astype(np.int64)
    if endings is not None:
        codes |= endings.spans(codes >> 8, landing["not_after"]) << 32
    found, counts = np.unique(codes, return_counts=True)
    return {Group.of_code(code): count for code, count in zip(found.tolist(), counts.tolist(), strict=True)}


def _examples(spilled: Spilled, places: NDArray[np.intp]) -> tuple[Example, ...]:
    return tuple(
        Example(
            int(row["code"]) >> 8 & 0x3F_FFFF,
            bytes(row["serial"])[: int(row["code"]) >> 2 & 63],
            (int(row["file"]), int(row["row"])),
        )
        for row in spilled[places[:MAX_EXAMPLES]]
    )


def regrouped(resolved: Iterable[Resolved], most_rows: int) -> list[Resolved]:
    """Return what lands, by ascending keys, in as few ranges as packs are needed: neighbours are put together.

    Args:
        resolved: what lands, by ascending keys.
        most_rows: of one pack, where what was apart comes together.
    """
    together: list[list[Resolved]] = []
    for one in resolved:
        if not together or sum(other.file.rows for other in together[-1]) + one.file.rows > most_rows:
            together.append([])
        together[-1].append(one)
    return [_joined(number, some) for number, some in enumerate(together)]


def _joined(number: int, some: Sequence[Resolved]) -> Resolved:
    if len(some) == 1:
        return replace(some[0], file=replace(some[0].file, number=number))
    groups: dict[Group, int] = {}
    for one in some:
        for group, count in one.groups.items():
            groups[group] = groups.get(group, 0) + count
    pieces = Pieces.joined([one.file.pieces for one in some])
    file = ShardFile(number, some[0].file.low, some[-1].file.high, pieces)
    return Resolved(file, dict(sorted(groups.items())), newest=max(one.newest for one in some))
