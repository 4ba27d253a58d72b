"""Whether the packs of a generation are in the store and whole, each by its directory, which ends it."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from storage.errors import FormatError, TruncatedError
from storage.manifest import Shard
from storage.reader import Generation

_THREADS = 32  # a remote read waits, it does not compute
_PACKS_AT_ONCE = 64
_EXAMPLES = 3


def absence(generation: Generation, packs: Sequence[Shard], *, is_local: bool) -> str | None:
    """Return which packs are not there or not whole; those that are need not be looked at again. None: all are there.

    Args:
        generation: whose packs they are.
        packs: some of its shards and overlays.
        is_local: whether reads take microseconds; else they go side by side.

    Raises:
        OSError: the store does not answer.
    """
    rest = iter({shard.pack: shard for shard in packs if shard.pack not in generation.packs}.values())
    while some := list(islice(rest, _PACKS_AT_ONCE)):
        faults = [fault for fault in _each(lambda shard: _fault(generation, shard), some, is_local) if fault]
        if faults:
            examples = ", ".join(faults[:_EXAMPLES])
            return (
                f"of {len(packs)} packs, {len(faults)} or more are not there: {examples}; where the store is a "
                "copy, copy packs, tables, windows and keys first, then manifests, and commits last"
            )
    return None


def _each(look: Callable[[Shard], str | None], shards: list[Shard], is_local: bool) -> Iterable[str | None]:
    if is_local:
        return [look(shard) for shard in shards]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="takeover") as pool:
        return list(pool.map(look, shards))


def _fault(generation: Generation, shard: Shard) -> str | None:
    """Return what is wrong with a pack, by its directory; None: nothing."""
    try:
        generation.pack(shard)
    except FileNotFoundError:
        return shard.pack
    except TruncatedError:
        return f"{shard.pack} (not whole)"
    except FormatError as damage:
        return f"{shard.pack} ({damage.detail})"
    return None
