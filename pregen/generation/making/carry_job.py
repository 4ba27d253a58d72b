"""What a worker has to know of the current generation's runs to carry their records over, in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.clock import seconds
from pregen.generation.making.layout import Numbers
from pregen.generation.making.terms import DIFFERENCES, FormerRun, Today
from pregen.generation.rows.groups import RESPONSE_KINDS
from pregen.validity import Fit, Refreshing
from storage.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class RunColumns:
    """The runs of one document of windows of the current generation, by their numbers; see `FormerRun`.

    Attributes:
        issuer: index in today's configuration; -1: it is not there any more.
        stays: whether this issuer is left behind: its records are never due.
        issuer_id: of today's issuer.
        stride: octets of a record.
        differs: index in `DIFFERENCES`.
        number: of the run tonight; -1: it has none.
    """

    issuer: Numbers
    stays: NDArray[np.bool_]
    issuer_id: NDArray[np.uint64]
    serial_bytes: Numbers
    kind: Numbers
    stride: Numbers
    differs: NDArray[np.uint8]
    number: Numbers
    produced_at: NDArray[np.int64]
    next_update: NDArray[np.int64]
    refresh_by: NDArray[np.int64]
    is_over: NDArray[np.bool_]
    fit: NDArray[np.int8]
    cycle: Numbers

    @classmethod
    def of(cls, tables: Tables, runs: Sequence[FormerRun], numbers: Mapping[int, int], today: Today) -> "RunColumns":
        """Return the columns of runs.

        Args:
            tables: with these runs.
            runs: what is known of them.
            numbers: those that they have tonight, by those that they have in the tables.
            today: what a run signs with.
        """
        shapes = [tables.shapes[run.shape] for run in tables.runs]
        issuers = [-1 if one.group is None else one.group.issuer for one in runs]
        judged = [one.judged for one in runs]
        stays = np.array([at >= 0 and bool(today.issuers[at].trouble) for at in issuers], np.bool_)
        return cls(
            issuer=np.array(issuers, np.intp),
            stays=stays,
            issuer_id=np.array([0 if at < 0 else today.issuers[at].issuer_id for at in issuers], np.uint64),
            serial_bytes=np.array([shape.serial_bytes for shape in shapes], np.intp),
            kind=np.array(
                [RESPONSE_KINDS.index((shape.status, "reason" in shape.fields)) for shape in shapes], np.intp
            ),
            stride=np.array([shape.stride for shape in shapes], np.intp),
            differs=np.array([DIFFERENCES.index(one.differs) for one in runs], np.uint8),
            number=np.array([numbers.get(number, -1) for number in range(len(runs))], np.intp),
            produced_at=np.array([one.window.produced_at for one in runs], np.int64),
            next_update=np.array([one.window.next_update for one in runs], np.int64),
            refresh_by=np.array([one.window.refresh_by for one in runs], np.int64),
            is_over=np.array([bool(one and one.is_over) for one in judged], np.bool_),
            fit=np.array([one.fit if one else Fit.NONE for one in judged], np.int8),
            cycle=np.array([one.cycle if one else 1 for one in judged], np.intp),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryJob:
    """What a worker needs to carry records over; it pickles.

    Attributes:
        runs: those of the current generation, by the names of their windows.
        refreshing: what is due.
        started: start of the run, in seconds since 1970.
        usual_next: int64[issuers], nextUpdate of tonight's usual windows.
        staying: bool[issuers], which ones are left behind.
        earlier: names of windows that an earlier attempt of this run has numbered its packs by.
        is_full: whether all is signed that no such pack has.
    """

    runs: Mapping[str, RunColumns]
    refreshing: Refreshing
    started: int
    usual_next: NDArray[np.int64]
    staying: NDArray[np.bool_]
    earlier: frozenset[str] = frozenset()
    is_full: bool = False

    @classmethod
    def of(
        cls,
        runs: Mapping[str, RunColumns],
        today: Today,
        earlier: frozenset[str] = frozenset(),
        *,
        is_full: bool = False,
    ) -> "CarryJob":
        """Return the job of one run; see its attributes."""
        ends = [seconds(window.next_update) for window in today.windows]
        started = seconds(today.windows[0].produced_at)
        return cls(
            runs=runs,
            refreshing=today.refreshing,
            started=started,
            usual_next=np.array(ends, np.int64),
            staying=np.array([bool(issuer.trouble) for issuer in today.issuers], np.bool_),
            earlier=earlier,
            is_full=is_full,
        )
