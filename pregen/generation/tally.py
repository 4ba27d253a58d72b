"""Surveys of all shards added up, whatever the order that their workers finish in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from pregen.errors import MAX_EXAMPLES
from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.generation.collapse import NO_PRECERTIFICATES, Pair, Precertificates
from pregen.generation.groups import CODE, Group
from pregen.generation.held import Held, all_held
from pregen.generation.rows import digest_of


@dataclass(frozen=True, slots=True)
class Survey:
    """What one shard holds, counted before anything is signed; `groups` are in their order.

    `comparison` is with the current generation, `held` with what CRLs and anchors say.
    """

    shard: int
    groups: dict[Group, int]
    repeated: int
    expired: int
    conflicts: tuple[Pair, ...]
    conflict_count: int
    withheld: int = 0
    steps: dict[str, float] = field(default_factory=dict)
    comparison: Comparison = NOT_COMPARED
    repetitions: tuple[Pair, ...] = ()
    precertificates: Precertificates = NO_PRECERTIFICATES
    held: Held = field(default_factory=Held)
    again: int = 0
    again_rows: int = 0
    undated: int = 0

    def digest(self) -> int:
        """Return a number that changes with the rows of any group, and with those left out."""
        groups = np.fromiter(chain.from_iterable(self.groups), np.int64).reshape(-1, len(Group._fields))
        counts = np.fromiter(self.groups.values(), np.int64)
        return digest_of(groups @ CODE, counts, self.repeated, self.expired, self.precertificates)


@dataclass(frozen=True, slots=True)
class Tally:
    """Surveys added up; what is kept grows with the number of groups, and not with that of shards times groups.

    Attributes:
        groups: rows of each, in the order of groups.
        proofs: by shard, the groups that are seen there first, in the order of shards.
        digests: by shard, `Survey.digest`.
        conflicts: the first ones, in the order of shards.
        withheld: rows that were spooled to be compared alone.
        comparison: with the current generation.
        repetitions: the first ones, in the order of shards.
        precertificates: of all shards, their examples in the order of shards.
        held: what CRLs and anchors say of the rows.
        again, again_rows: see `pregen.generation.rows.ShardRows`.
        undated: certificates whose window is to end with them, and of which nobody says when that is.
    """

    groups: dict[Group, int]
    proofs: dict[int, frozenset[Group]]
    digests: dict[int, int]
    repeated: int
    expired: int
    conflicts: tuple[Pair, ...]
    conflict_count: int
    withheld: int = 0
    comparison: Comparison = NOT_COMPARED
    repetitions: tuple[Pair, ...] = ()
    precertificates: Precertificates = NO_PRECERTIFICATES
    held: Held = field(default_factory=Held)
    again: int = 0
    again_rows: int = 0
    undated: int = 0


def add_up(surveys: Iterable[Survey]) -> Tally:
    """Return the sum of surveys, which may come in any order."""
    groups: dict[Group, int] = {}
    first: dict[Group, int] = {}
    digests: dict[int, int] = {}
    conflicts: dict[int, tuple[Pair, ...]] = {}
    repetitions: dict[int, tuple[Pair, ...]] = {}
    uneven: dict[int, tuple[Pair, ...]] = {}
    held: dict[int, Held] = {}
    early = NO_PRECERTIFICATES
    repeated = expired = conflict_count = withheld = again = again_rows = undated = 0
    comparison = NOT_COMPARED
    for survey in surveys:
        for group, count in survey.groups.items():
            groups[group] = groups.get(group, 0) + count
            first[group] = min(first.get(group, survey.shard), survey.shard)
        digests[survey.shard] = survey.digest()
        _keep(conflicts, survey.shard, survey.conflicts)
        _keep(repetitions, survey.shard, survey.repetitions)
        _keep(uneven, survey.shard, survey.precertificates.examples)
        held[survey.shard] = survey.held
        early = _sum(early, survey.precertificates)
        repeated += survey.repeated
        expired += survey.expired
        conflict_count += survey.conflict_count
        withheld += survey.withheld
        again += survey.again
        again_rows += survey.again_rows
        undated += survey.undated
        comparison = comparison.plus(survey.comparison)
    proofs: dict[int, set[Group]] = {}
    for group, shard in first.items():
        proofs.setdefault(shard, set()).add(group)
    return Tally(
        groups=dict(sorted(groups.items())),
        proofs={shard: frozenset(proofs[shard]) for shard in sorted(proofs)},
        digests=digests,
        repeated=repeated,
        expired=expired,
        conflicts=_first_of(conflicts),
        conflict_count=conflict_count,
        withheld=withheld,
        comparison=comparison,
        repetitions=_first_of(repetitions),
        precertificates=early._replace(examples=_first_of(uneven)),
        held=all_held(held[shard] for shard in sorted(held)),
        again=again,
        again_rows=again_rows,
        undated=undated,
    )


def _sum(one: Precertificates, other: Precertificates) -> Precertificates:
    """Return the counts of both."""
    return Precertificates(one.joined + other.joined, one.alone + other.alone, one.differing + other.differing)


def _keep(kept: dict[int, tuple[Pair, ...]], shard: int, pairs: tuple[Pair, ...]) -> None:
    """Keep what a shard shows; of the last shard nothing, if those before it have enough without it."""
    if pairs:
        kept[shard] = pairs
    if len(kept) > MAX_EXAMPLES:  # each shows one at least
        del kept[max(kept)]


def _first_of(kept: dict[int, tuple[Pair, ...]]) -> tuple[Pair, ...]:
    return tuple(chain.from_iterable(kept[shard] for shard in sorted(kept)))[:MAX_EXAMPLES]
