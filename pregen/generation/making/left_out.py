"""Which certificates have no answer because their issuers are left behind; counts of shards add up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.generation.rows.groups import Group
from pregen.issuers import Issuer
from storage.manifest import LeftBehind

LEFT_BEHIND = "left-behind"  # why rows have no answers


class LeftOut(NamedTuple):
    """Rows of issuers that are left behind which have no record; counts of shards add up.

    Attributes:
        groups: how many of each group.
        again: how many of them repeat others under a further name or key.
        revoked: how many of all are revoked now, and were not before.
        examples: serials and issuers of these.
        told: how many keep a record that says another thing than their row.
    """

    groups: Mapping[Group, int] = {}
    again: int = 0
    revoked: int = 0
    examples: tuple[str, ...] = ()
    told: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether a shard holds what its rows say."""
        return not (self.groups or self.told)


NOTHING_LEFT_OUT = LeftOut()


def all_left_out(each: Iterable[LeftOut]) -> LeftOut:
    """Return the sum of what shards left out."""
    groups, again, revoked, told = Counter[Group](), 0, 0, 0
    examples: list[str] = []
    for one in each:
        groups.update(one.groups)
        again, revoked, told = again + one.again, revoked + one.revoked, told + one.told
        examples += one.examples[: MAX_EXAMPLES - len(examples)]
    return LeftOut(dict(groups), again, revoked, tuple(examples), told)


def left_out_warning(left: LeftOut) -> tuple[Finding, ...]:
    """Warn of certificates that have no answer because their issuers are left behind."""
    if not left.groups:
        return ()
    count = sum(left.groups.values())
    text = (
        f"these certificates of issuers that are left behind have no answer: {left.revoked:,} are newly revoked, whose "
        f"good answers were not carried over, and {count - left.revoked:,} have none yet; edges answer unauthorized"
    )
    return (Finding("issuer.left-out", "warning", text, count, left.examples),)


def with_counts(left: Sequence[LeftBehind], issuers: Sequence[Issuer], out: LeftOut) -> tuple[LeftBehind, ...]:
    """Return issuers that are left behind, with how many of their certificates have no record."""
    counts = Counter[str]()
    for group, count in out.groups.items():
        counts[issuers[group.issuer].names[0]] += count
    return tuple(replace(one, left_out=counts[one.name]) for one in left)
