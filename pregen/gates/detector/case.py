"""A case: what was noted of the times of one snapshot, beside what it is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pregen.gates.detector.observation import Observation, Watch
from pregen.gates.detector.rhythm import Rhythm, ages_of, rhythm, silences_factor
from pregen.gates.history import History
from pregen.issuers import Issuer
from pregen.snapshot.column import Column
from storage.history import IssuerHistory


class Events(NamedTuple):
    """The issuances of one issuer, or the revocations of all issuers together, which are judged as if by one.

    Attributes:
        row: the index of the issuer; revocations are one behind the last (`Case.revocations`).
        canonical: the column that says when they happened.
        what: what happened, for messages.
        until: up to when they are known, in seconds since 1970.
        rhythm: how they usually follow each other.
        before: what the last generation remembered of them; None: nothing.
        newest: the row of the latest one up to then (`SIGHTING`); None of revocations, of which none is kept.
    """

    row: int
    canonical: str
    what: str
    until: int
    rhythm: Rhythm
    before: IssuerHistory | None
    newest: np.void | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the detector judges, and by what.

    Attributes:
        observation: what was noted of all rows (`all_observed`).
        watch: what was looked for; its keys are those of the anchors and of the history's witnesses.
        columns: by canonical name.
        issuers: in the order of their indices.
        history: of the generation that is published; None: there is none.
        is_whole: whether the rows are all of a snapshot; else they are some that have changed, of which silences, what
            is missing and how many are new say nothing.
    """

    observation: Observation
    watch: Watch
    columns: Mapping[str, Column]
    issuers: Sequence[Issuer]
    history: History | None
    is_whole: bool = True

    @property
    def revocations(self) -> int:
        """The row of revocations, wherever issuers have one each."""
        return self.watch.issuers

    @property
    def silences(self) -> float:
        """How many times as long as is usual a silence is too long."""
        return silences_factor(self.history.judged if self.history else 0)

    def before(self, row: int) -> IssuerHistory | None:
        """Return what the last generation remembered of a row; None: nothing."""
        if self.history is None:
            return None
        if row == self.revocations:
            return self.history.revocations
        return self.history.issuers.get(self.issuers[row].issuer_id)

    def events(self) -> tuple[Events, ...]:
        """Return the issuances of each issuer that has any up to as_of, and at last the revocations, also if none."""
        return (*map(self._issuances, self.observation.newest), self._revocations())

    def _issuances(self, newest: np.void) -> Events:
        row = int(newest["issuer"])
        what = f'of "{self.issuers[row].names[0]}" was issued'
        own = rhythm(ages_of(self.observation, row))
        return Events(row, "not_before", what, self.watch.issued_until, own, self.before(row), newest)

    def _revocations(self) -> Events:
        row = self.revocations
        own = rhythm(ages_of(self.observation, row))
        return Events(row, "revoked_at", "was revoked", self.watch.as_of, own, self.before(row))
