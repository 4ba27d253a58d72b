"""Whether a store's conditional write is atomic: the one promise that publishing stands on."""

import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from storage.stores.base import Store

PROBED_FOR_S = 86_400
_log = logging.getLogger(__name__)


def probe_racing_creates(store: Store, rounds: Sequence[int] = (2, 4, 8)) -> None:
    """Let threads create the same object at once, so many in each round; exactly one may succeed, and its octets stay.

    Not every server that accepts the condition keeps it. On one that does not, two publishers could commit the same
    generation, each believing that it won. The rounds grow, because a server may need seconds to make room for many
    writers of a new bucket (SeaweedFS does), and hardly any for two, four and then eight.

    Raises:
        OSError: the store is not atomic; or, as its own kind, what the store itself raises.
    """
    with ThreadPoolExecutor(max(rounds)) as pool:
        for racers in rounds:
            name = f"probes/{secrets.token_hex(16)}"
            try:
                _race(store, name, pool, racers)
            finally:
                _remove(store, name)


def probed_lately(store: Store, probed_at: int | None, now: int) -> int | None:
    """Return when a store was last seen to be atomic: probe one that may not be, unless that was within a day.

    Args:
        store: a local one is our own code, and is not probed.
        probed_at: when it was last probed; None: never. Seconds since 1970, like `now` and what is returned.
        now: the current instant.

    Raises:
        OSError: as of `probe_racing_creates`.
    """
    if store.is_local:
        return probed_at
    if probed_at is not None and 0 <= now - probed_at < PROBED_FOR_S:
        return probed_at
    probe_racing_creates(store, rounds=(2,))
    return now


def _race(store: Store, name: str, pool: ThreadPoolExecutor, racers: int) -> None:
    entries = [f"racer {number} of {name}".encode() for number in range(racers)]
    start = Barrier(racers)

    def create(entry: bytes) -> bool:
        start.wait()
        return _create(store, name, entry)

    try:
        successes = list(pool.map(create, entries))
    finally:
        start.abort()  # after an interruption, nobody waits for racers that never started
    won = [entry for entry, success in zip(entries, successes, strict=True) if success]
    if not won:
        raise OSError(f"{store.url}: of {racers} racing creates none was told that it won: repeat the check")
    if len(won) > 1:
        raise _not_atomic(store, f"{len(won)} of {racers} racing creates were told that they won")
    if store.get(name) != won[0]:
        raise _not_atomic(store, "the object of the racer that won was overwritten by one that lost")
    if _create(store, name, b"late"):
        raise _not_atomic(store, "an object that was there was created once more")
    if store.get(name) != won[0]:
        raise _not_atomic(store, "a create that was refused changed the object")


def _create(store: Store, name: str, entry: bytes) -> bool:
    try:
        store.put_if_absent(name, entry)
    except FileExistsError:
        return False
    return True


def _not_atomic(store: Store, seen: str) -> OSError:
    return OSError(
        f"{store.url}: conditional writes are not atomic here ({seen}): publishers could overwrite each other; "
        "use another server, or a newer version of this one"
    )


def _remove(store: Store, name: str) -> None:
    """Remove the probe; a publisher that may not delete can publish all the same."""
    try:
        store.delete([name])
    except OSError as error:
        _log.warning("the probe %s/%s stays behind: %s", store.url, name, error)
