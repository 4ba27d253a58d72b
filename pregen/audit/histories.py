"""Is what a generation left behind for the next run's gates whole, and about the certificates of that generation?"""

import numpy as np

from pregen.errors import VerificationError
from storage.ended_part import EndedPart, read_ended_part
from storage.errors import MalformedError
from storage.history import HistoryPart, read_index, read_part
from storage.reader import Generation
from storage.stores import Store


def check_past(store: Store, generation: Generation) -> int:
    """Check the history of a generation; return how many parts it has.

    Raises:
        VerificationError: it is about other certificates than those that are published.
        FormatError: it is damaged.
        FileNotFoundError: a part of it is missing.
        OSError: the store does not answer.
    """
    name = generation.manifest.history
    if name is None:
        return 0
    index = read_index(store, name)
    rows = sum(shard.rows for shard in generation.manifest.shards)
    if (said := sum(part.rows for part in index.parts)) != rows:
        raise VerificationError(f"{name}: speaks of {said:,} certificates, but {rows:,} are published")
    for part in index.parts:
        _check_keys(part, read_part(store, part).keys)
    for ended in index.ended:
        _check_keys(ended, read_ended_part(store, ended).keys)
    return len(index.parts) + len(index.ended)


def _check_keys(part: HistoryPart | EndedPart, octets: bytes | memoryview) -> None:
    keys = np.frombuffer(octets, "<u8")
    if (keys[1:] < keys[:-1]).any():
        raise MalformedError(part.name, "its keys are out of order")
    if len(keys) and not part.low <= int(keys[0]) >> 32 <= int(keys[-1]) >> 32 < part.high:
        raise MalformedError(part.name, "holds keys that belong elsewhere")
