"""All that a run publishes: shards that were made anew, shards that stay, and the overlay of what stays in one."""

from collections.abc import Sequence
from dataclasses import dataclass

from pregen.generation.making.shard import SignedShard
from pregen.generation.overlaying import StayingPack
from storage.history import HistoryPart
from storage.manifest import Shard


@dataclass(frozen=True, slots=True)
class KeptShard:
    """A shard of the current generation that stays.

    Attributes:
        number: of the shard.
        shard: what the manifest says of it from now on.
        history: what the next run compares with; None: the shard is empty.
        history_bytes: octets put.
    """

    number: int
    shard: Shard
    history: HistoryPart | None
    history_bytes: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it holds what its rows say: else it would not stay."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run publishes, each by ascending keys.

    Attributes:
        signed: shards that were made anew, whether signed or carried over.
        kept: shards whose packs stay, unread; with the others, they are all.
        staying: the overlay of what stays in one.
    """

    signed: Sequence[SignedShard] = ()
    kept: Sequence[KeptShard] = ()
    staying: Sequence[StayingPack] = ()

    @property
    def in_order(self) -> list[SignedShard | KeptShard]:
        """All shards by ascending keys."""
        return sorted((*self.signed, *self.kept), key=lambda one: one.number)

    @property
    def packs(self) -> list[SignedShard]:
        """All packs that were made anew, those of the overlay last."""
        return [*self.signed, *(one.signed for one in self.staying)]

    @property
    def part_bytes(self) -> int:
        """Octets of the parts of the history of shards that were put."""
        return sum(one.history.size_bytes for one in self.signed if one.history) + sum(
            one.history_bytes for one in self.kept
        )
