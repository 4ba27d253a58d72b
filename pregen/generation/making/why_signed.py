"""Why rows are signed, and how many are not: counted by a worker for each shard, and added up for the report."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pregen.errors import MAX_EXAMPLES, Finding

# Why a row is signed, in the order in which reports name them; those that are not signed come behind.
WHY_SIGNED = ("new", "changed", "due", "spread", "all")
NEW, CHANGED, DUE, SPREAD, ALL, CARRIED, LEFT_OUT = range(7)
PACK_DAMAGED = "pack"  # why all of a shard are signed: its pack of the current generation is damaged


class Reasons(NamedTuple):
    """Why rows are signed, and how many are carried over; counts of shards add up.

    Attributes:
        signed: by the names of `WHY_SIGNED`.
        carried: how many keep their records.
        octets_read: of packs of the current generation.
        differs: of those signed because of `all`, how many have what difference (`DIFFERENCES`, or `PACK_DAMAGED`).
        damaged: packs from which nothing could be carried over, and why.
        by_issuer: how many rows were signed, by the index of the issuer.
    """

    signed: Mapping[str, int]
    carried: int = 0
    octets_read: int = 0
    differs: Mapping[str, int] = {}
    damaged: tuple[str, ...] = ()
    by_issuer: Mapping[int, int] = {}


NO_REASONS = Reasons({})


def all_reasons(each: Iterable[Reasons]) -> Reasons:
    """Return the sum of the reasons of shards."""
    signed, differs, by_issuer = Counter[str](), Counter[str](), Counter[int]()
    carried = octets_read = 0
    damaged: dict[str, None] = {}  # several shards may have needed one
    for one in each:
        signed.update(one.signed)
        differs.update(one.differs)
        by_issuer.update(one.by_issuer)
        carried += one.carried
        octets_read += one.octets_read
        damaged.update(dict.fromkeys(one.damaged))
    return Reasons(
        signed={name: signed[name] for name in WHY_SIGNED},
        carried=carried,
        octets_read=octets_read,
        differs=dict(differs),
        damaged=tuple(damaged),
        by_issuer=dict(by_issuer),
    )


def damage_warning(reasons: Reasons) -> tuple[Finding, ...]:
    """Return a warning where packs of the current generation are not what its manifest says."""
    if not reasons.damaged:
        return ()
    text = (
        "packs of the current generation are not what its manifest says: nothing was carried over from them, and their "
        "certificates were signed anew; look who else writes to the store, and run `pregen verify`"
    )
    return (Finding("carry.damaged", "warning", text, len(reasons.damaged), reasons.damaged[:MAX_EXAMPLES]),)
