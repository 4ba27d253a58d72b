"""What all shards hold, added up, whatever the order that their workers finish in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

import numpy as np

from pregen.ended import NOTHING_ENDED, EndedSince, all_since
from pregen.errors import MAX_EXAMPLES
from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.generation.comparing.held import Held, all_held
from pregen.generation.comparing.makings import Keeping
from pregen.generation.rows.counts import NO_EXAMPLES, NOTHING_COUNTED, Examples, FirstExamples, RowCounts
from pregen.generation.rows.groups import CODE_FACTORS, Group
from pregen.generation.rows.rows import digest_of
from pregen.generation.rows.truth import NOTHING_STAYS, Staying


class Returned(NamedTuple):
    """A row that is not revoked, of a certificate that was until it had ended: its key, place and serial."""

    key: int
    row: tuple[int, int]
    serial: bytes


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
        staying: what stays in overlays of its range of keys.
        steps: what took how long.
        made_of: a digest of all that it is made of, 32 octets; None: nobody wanted to know.
        keeping: what of the shard of the current generation is kept in its place.
        since: what of revocations has ended, or comes back from there.
        returned: of these, the first ones.
    """

    shard: int
    groups: dict[Group, int]
    counts: RowCounts = NOTHING_COUNTED
    examples: Examples = NO_EXAMPLES
    comparison: Comparison = NOT_COMPARED
    held: Held = field(default_factory=Held)
    staying: Staying = NOTHING_STAYS
    steps: dict[str, float] = field(default_factory=dict)
    made_of: bytes | None = None
    keeping: Keeping = Keeping.NOTHING
    since: EndedSince = NOTHING_ENDED
    returned: tuple[Returned, ...] = ()

    def digest(self) -> int:
        """Return a number that changes with the rows of any group, and with those left out."""
        groups = np.fromiter(chain.from_iterable(self.groups), np.int64).reshape(-1, len(Group._fields))
        rows = np.fromiter(self.groups.values(), np.int64)
        return digest_of(groups @ CODE_FACTORS, rows, self.counts)


@dataclass(frozen=True, slots=True)
class Tally:
    """All shards together; what is kept grows with the number of groups, and not with that of shards times groups.

    Attributes:
        groups: rows of each, in the order of groups.
        proofs: by shard, the groups that are seen there first, in the order of shards; those that are kept are passed
            over.
        digests: by shard, `ShardCount.digest`.
        made_of: by shard, `ShardCount.made_of`.
        keeping: of shards of which something is kept, what is.
        kept_groups: rows of each group in these shards.
        counts, examples, comparison, held: as of `ShardCount`; examples in the order of shards.
        staying: of each shard where anything stays, in their order: there may be millions, and nothing copies them.
        since: what of revocations has ended, or comes back from there, in any order.
        returned: of these, the first ones, by keys.
    """

    groups: dict[Group, int]
    proofs: dict[int, frozenset[Group]]
    digests: dict[int, int]
    counts: RowCounts
    examples: Examples
    comparison: Comparison
    held: Held
    made_of: dict[int, bytes | None] = field(default_factory=dict)
    keeping: dict[int, Keeping] = field(default_factory=dict)
    kept_groups: dict[Group, int] = field(default_factory=dict)
    staying: tuple[Staying, ...] = ()
    since: EndedSince = NOTHING_ENDED
    returned: tuple[Returned, ...] = ()

    def without(self, rows: Mapping[Group, int], again: int) -> "Tally":
        """Return the same without rows of some groups, of which so many were there for a further issuer."""
        groups = {group: count - rows.get(group, 0) for group, count in self.groups.items()}
        return replace(
            self,
            groups={group: count for group, count in groups.items() if count},
            counts=self.counts._replace(again=self.counts.again - again),
        )


def add_up(shards: Iterable[ShardCount]) -> Tally:
    """Return the sum of shards, which may come in any order."""
    groups: dict[Group, int] = {}
    first: dict[Group, int] = {}
    digests: dict[int, int] = {}
    made_of: dict[int, bytes | None] = {}
    keeping: dict[int, Keeping] = {}
    kept_groups: dict[Group, int] = {}
    held: dict[int, Held] = {}
    staying: dict[int, Staying] = {}
    since: list[EndedSince] = []
    returned: list[Returned] = []
    counts, comparison, examples = NOTHING_COUNTED, NOT_COMPARED, FirstExamples()
    for one in shards:
        for group, count in one.groups.items():
            groups[group] = groups.get(group, 0) + count
            if one.keeping:
                kept_groups[group] = kept_groups.get(group, 0) + count
            else:
                first[group] = min(first.get(group, one.shard), one.shard)
        if one.keeping:
            keeping[one.shard] = one.keeping
        digests[one.shard] = one.digest()
        made_of[one.shard] = one.made_of
        held[one.shard] = one.held
        if len(one.staying.entries):
            staying[one.shard] = one.staying
        counts = counts.plus(one.counts)
        comparison = comparison.plus(one.comparison)
        examples.add(one.shard, one.examples)
        since.append(one.since)
        returned = sorted([*returned, *one.returned])[:MAX_EXAMPLES]
    proofs: dict[int, set[Group]] = {}
    for group, shard in first.items():
        proofs.setdefault(shard, set()).add(group)
    return Tally(
        groups=dict(sorted(groups.items())),
        proofs={shard: frozenset(proofs[shard]) for shard in sorted(proofs)},
        digests=digests,
        made_of=made_of,
        keeping=dict(sorted(keeping.items())),
        kept_groups=kept_groups,
        counts=counts,
        examples=examples.take(),
        comparison=comparison,
        held=all_held(held[shard] for shard in sorted(held)),
        staying=tuple(staying[shard] for shard in sorted(staying)),
        since=all_since(since),
        returned=tuple(returned),
    )
