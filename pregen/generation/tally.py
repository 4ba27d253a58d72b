"""What all shards hold, added up, whatever the order that their workers finish in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.generation.counts import NO_EXAMPLES, NOTHING_COUNTED, Examples, FirstExamples, RowCounts
from pregen.generation.groups import CODE, Group
from pregen.generation.held import Held, all_held
from pregen.generation.rows import digest_of


@dataclass(frozen=True, slots=True)
class ShardCount:
    """What one shard holds, counted before anything is signed.

    Attributes:
        shard: its number.
        groups: rows of each, in the order of groups.
        counts: what became of the other rows.
        examples: of these, the first ones.
        comparison: with the current generation.
        held: what CRLs and anchors say of the rows.
        steps: what took how long.
    """

    shard: int
    groups: dict[Group, int]
    counts: RowCounts = NOTHING_COUNTED
    examples: Examples = NO_EXAMPLES
    comparison: Comparison = NOT_COMPARED
    held: Held = field(default_factory=Held)
    steps: dict[str, float] = field(default_factory=dict)

    def digest(self) -> int:
        """Return a number that changes with the rows of any group, and with those left out."""
        groups = np.fromiter(chain.from_iterable(self.groups), np.int64).reshape(-1, len(Group._fields))
        rows = np.fromiter(self.groups.values(), np.int64)
        return digest_of(groups @ CODE, rows, self.counts)


@dataclass(frozen=True, slots=True)
class Tally:
    """All shards together; what is kept grows with the number of groups, and not with that of shards times groups.

    Attributes:
        groups: rows of each, in the order of groups.
        proofs: by shard, the groups that are seen there first, in the order of shards.
        digests: by shard, `ShardCount.digest`.
        counts, examples, comparison, held: as of `ShardCount`; examples in the order of shards.
    """

    groups: dict[Group, int]
    proofs: dict[int, frozenset[Group]]
    digests: dict[int, int]
    counts: RowCounts
    examples: Examples
    comparison: Comparison
    held: Held


def add_up(shards: Iterable[ShardCount]) -> Tally:
    """Return the sum of shards, which may come in any order."""
    groups: dict[Group, int] = {}
    first: dict[Group, int] = {}
    digests: dict[int, int] = {}
    held: dict[int, Held] = {}
    counts, comparison, examples = NOTHING_COUNTED, NOT_COMPARED, FirstExamples()
    for one in shards:
        for group, count in one.groups.items():
            groups[group] = groups.get(group, 0) + count
            first[group] = min(first.get(group, one.shard), one.shard)
        digests[one.shard] = one.digest()
        held[one.shard] = one.held
        counts = counts.plus(one.counts)
        comparison = comparison.plus(one.comparison)
        examples.add(one.shard, one.examples)
    proofs: dict[int, set[Group]] = {}
    for group, shard in first.items():
        proofs.setdefault(shard, set()).add(group)
    return Tally(
        groups=dict(sorted(groups.items())),
        proofs={shard: frozenset(proofs[shard]) for shard in sorted(proofs)},
        digests=digests,
        counts=counts,
        examples=examples.take(),
        comparison=comparison,
        held=all_held(held[shard] for shard in sorted(held)),
    )
