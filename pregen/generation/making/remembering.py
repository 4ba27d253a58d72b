"""The part of the history of one shard: what the gates of the next run compare with."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pregen.errors import PublishError, explained
from pregen.generation.comparing.past import entries_of
from pregen.generation.rows.endings import Endings
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.work.steps import Steps
from storage.history import HistoryPart, encode_part
from storage.sealed import SEALED_ID_BYTES
from storage.stores.base import Store


def remember(store: Store, low: int, high: int, rows: ShardRows) -> HistoryPart | None:
    """Put the part of a shard; None: it is empty, and there is none."""
    if not len(rows.keys):
        return None
    part, octets = encode_part(os.urandom(SEALED_ID_BYTES), low, high, entries_of(rows).columns())
    store.put(part.name, octets)
    return part


@dataclass(frozen=True, slots=True)
class PartTask:
    """One shard whose pack stays, and whose part does not.

    Attributes:
        file: its rows.
        expired_before, endings: see `pregen.generation.rows.rows.load_shard`.
    """

    file: ShardFile
    expired_before: int | None = None
    endings: Endings | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file.label


@dataclass(frozen=True, slots=True)
class NewPart:
    """A part that was put.

    Attributes:
        number: of the shard.
        part: None: it is empty.
        steps: what took how long.
    """

    number: int
    part: HistoryPart | None
    steps: dict[str, float]


class PartWriter:
    """Writes parts of shards in one worker process, which needs no key."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._store = open_store()

    def __call__(self, task: PartTask) -> NewPart:
        """Put the part of one shard.

        Raises:
            SpoolError: its rows are not what was written.
            PublishError: the store did not take it.
        """
        steps, file = Steps(), task.file
        try:
            with steps("load"):
                rows = load_shard(file, task.expired_before, task.endings)
            with steps("gates"):
                part = remember(self._store, file.low, file.high, rows)
        except OSError as e:
            raise PublishError(
                f"{task.label}: {explained(e)}; nothing was published, the current generation is what it was"
            ) from e
        return NewPart(file.number, part, steps.take())
