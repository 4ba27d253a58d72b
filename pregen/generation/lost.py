"""Revocations that a snapshot lacks, and that `[gates] unrevoke` covers: they stay, in an overlay, until they expire.

So a limit that lets a run pass takes no revocation back, and a certificate that comes again as good is revoked still.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import Comparison, Keys, Remembered
from pregen.generation.comparing.past import Past
from pregen.generation.preparation import Prepared
from pregen.generation.rows.truth import NOTHING_STAYS, Staying
from pregen.overlays.entries import Entries, concatenated, found
from pregen.overlays.records import pack_entries
from storage.history import read_part
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32
from storage.reader import Generation
from storage.stores import Store

_HALF = 32
_BY_NAME = frozenset({"unrevoke", "revocation.lost"})


def lost_but_staying(prepared: Prepared, seen: Comparison) -> Staying:
    """Return what stays of revocations that have vanished, once no gate refuses that; what is accepted by name goes.

    Raises:
        FormatError, FileNotFoundError, OSError: the current generation cannot be read.
    """
    if not seen.lost or prepared.current is None or frees_lost(prepared):
        return NOTHING_STAYS
    keys = np.array(seen.keys["lost"], np.uint64)
    halves, manifest = np.unique(keys >> np.uint64(_HALF)).tolist(), prepared.current.manifest
    shards = dict.fromkeys(shard for half in halves for shard in manifest.shards_in(half, half + 1))
    lost = concatenated(_lost_of(prepared.store, prepared.current, shard, keys) for shard in shards)
    lost = replace(lost, not_after=_not_after(prepared.store, prepared.past, lost))
    nothing = np.zeros(len(lost), np.bool_)
    return Staying(lost, ~nothing, nothing)


def frees_lost(prepared: Prepared) -> bool:
    """Tell whether it was accepted by name that revocations go which a snapshot lacks."""
    return any(one.gate in _BY_NAME for one in prepared.accept)


def _lost_of(store: Store, current: Generation, shard: Shard, keys: Keys) -> Entries:
    every = pack_entries(store, current, shard)
    return every.take(every.is_final & np.isin(every.keys, keys))


def _not_after(store: Store, past: Past, lost: Entries) -> NDArray[np.uint32]:
    """Return when certificates end, up to the units of the history: nothing revoked is forgotten too early."""
    not_after = np.full(len(lost), NO_EXPIRY_32, np.uint32)
    for part in past.parts:
        if not len(lost.between(part.low, part.high)):
            continue
        kept = Remembered.of_columns(read_part(store, part))
        which, place = found(kept.keys, lost.keys)
        not_after[which] = kept.not_after[place]
    return not_after
