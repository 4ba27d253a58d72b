"""The last step of an urgent change: its overlay becomes part of a commit, on top of whatever the head is by then.

The commit serves the shards of its base, and keeps that one's as_of: the next snapshot need be newer than the last one
alone.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pregen import clock
from pregen.gates.author import Author
from pregen.interruption import uninterruptible
from pregen.overlay_keys import put_overlay_keys
from pregen.overlays import Origin
from pregen.overlays.records import MOST_OVERLAYS, overlay_columns, overlay_count, pack_entries
from pregen.urgent.ground import Ground
from pregen.urgent.merging import Merged, merge_overlays
from pregen.urgent.orders import ChangeKind
from pregen.urgent.overlaying import Overlay
from pregen.validity import check_still_timely
from storage.commits import CommitTerms, Head, find_head, new_publisher, publish
from storage.errors import CommitRefusedError
from storage.history import encode_index
from storage.manifest import LeftBehind, Manifest, Shard
from storage.overlay_part import OverlayPart, encode_overlay_part, read_overlay_part
from storage.removals import removed_since
from storage.sealed import SEALED_ID_BYTES

MOST_TABLES = 16  # that a manifest names (FORMAT.md, section 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is kept in the commit beside the overlay.

    Attributes:
        kind: of the change.
        author: who made it, and what for.
        gates: what gates said, as a manifest has it.
        left_behind: issuers that could not sign what would have changed.
    """

    kind: ChangeKind
    author: Author
    gates: Mapping[str, object] = field(default_factory=dict)
    left_behind: tuple[LeftBehind, ...] = ()


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit with an overlay, what it consists of, and octets put with it."""

    head: Head
    manifest: Manifest
    put_bytes: int


def land(ground: Ground, overlay: Overlay, terms: Terms) -> Landed:
    """Commit an overlay on top of the head.

    Raises:
        GateError: newer answers are due already.
        CommitRefusedError: another publisher was first.
        CommitError, StorageError, OSError: see `storage.commits.publish`.
    """
    check_still_timely(started=ground.started, clock_now=clock.now(), windows=ground.public_windows)
    manifest, history = ground.current.manifest, ground.current.manifest.history
    below = _below(ground)
    put_bytes = below.put_bytes
    if ground.index is not None:
        parts = tuple(one.part for one in overlay.packs) + below.parts
        history, octets = encode_index(replace(ground.index, overlays=parts))
        ground.store.put(history, octets)
        put_bytes += len(octets)
    overlays = tuple(one.signed.shard for one in overlay.packs) + below.shards
    manifest = replace(
        manifest,
        overlays=overlays,
        overlay_keys=put_overlay_keys(ground.store, overlays, ground.current),
        gates=dict(terms.gates),
        history=history,
        left_behind=_left_behind(manifest.left_behind, terms.left_behind),
    )
    with uninterruptible() as done:
        head, octets_put = publish(
            ground.store,
            ground.head,
            manifest,
            CommitTerms(
                publisher=new_publisher(),
                as_of=ground.head.commit.as_of,
                started_at=clock.seconds(ground.started),
                kind=terms.kind,
                by=terms.author.by,
                note=terms.author.note,
            ),
        )
        done()
    return Landed(head, manifest, put_bytes + octets_put)


def _left_behind(before: Iterable[LeftBehind], now: Iterable[LeftBehind]) -> tuple[LeftBehind, ...]:
    """Return the issuers that were left behind since the base and are now; of what each lacks, the most is told."""
    known = {one.name: one for one in before}
    for one in now:
        known[one.name] = replace(one, left_out=max(one.left_out, known.get(one.name, one).left_out))
    return tuple(known.values())


def _below(ground: Ground) -> Merged:
    """Return the overlays of the head, below a new one: as they are, or one that stands for all where they are many."""
    overlays = ground.current.manifest.overlays
    tables = {one.windows for one in ground.current.manifest.searched}
    if overlay_count(overlays) >= MOST_OVERLAYS or (len(tables) >= MOST_TABLES and overlay_count(overlays) > 1):
        return merge_overlays(ground)
    if ground.index is None:
        return Merged(overlays, (), 0)
    known = {part.pack: part for part in ground.index.overlays}
    made = {one.pack: _remember(ground, one) for one in overlays if one.pack not in known}
    parts = tuple({**known, **made}[one.pack] for one in overlays)
    return Merged(overlays, parts, sum(part.size_bytes for part in made.values()))


def _remember(ground: Ground, overlay: Shard) -> OverlayPart:
    """Put what is to be remembered of an overlay whose publisher did not: a delta, that nobody knows more of."""
    entries = pack_entries(ground.store, ground.current, overlay, Origin.DELTA)
    part, octets = encode_overlay_part(os.urandom(SEALED_ID_BYTES), overlay.pack, overlay_columns(entries))
    ground.store.put(part.name, octets)
    return part


def overtaken(ground: Ground, refused: CommitRefusedError) -> Ground:
    """Return the ground on top of the commit that was first.

    Raises:
        CommitRefusedError: there is none, whatever the store said.
        StorageError, OSError: it cannot be read, or needs a newer publisher.
    """
    head = find_head(ground.store, ground.head)
    if head is None or head is ground.head:
        raise refused
    return ground.moved_to(head)


def still_holds(overlay: Overlay, before: Ground, now: Ground) -> bool:
    """Tell whether an overlay that was made on one head is right on another, and still there.

    It is where nothing new speaks of its certificates.

    Raises:
        StorageError, OSError: what is new cannot be read.
    """
    gone = removed_since(before.store, before.head.commit.number, now.head.commit)
    if not gone.isdisjoint(overlay.names) or any(name.startswith("tables/") for name in gone):
        return False
    if before.current.manifest.shards != now.current.manifest.shards or before.index is None or now.index is None:
        return False
    known = {one.pack for one in before.current.manifest.overlays}
    parts = {part.pack: part for part in now.index.overlays}
    keys = np.concatenate([one.keys for one in overlay.packs])
    for one in now.current.manifest.overlays:
        if one.pack not in known:
            if (part := parts.get(one.pack)) is None:
                return False
            others = np.frombuffer(read_overlay_part(now.store, part).keys, "<u8")
            if np.isin(others, keys).any():
                return False
    return True
