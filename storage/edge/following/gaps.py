"""The newest commit of a copy that is made in no order, where commits before it are missing for a while.

The log of a publisher has no gaps, so its head is found by a few reads (`storage.commits.find_head`). Replication of a
bucket may bring commit 7 before commit 6, and the hint before both. An edge that runs waits for 6, and never goes back;
but a new process would take 5 for the newest, though the one before it has served 7: what only 7 revokes would be good
again. So a new process looks beyond what it has found, once. One that runs looks, now and then, whether it waits for a
commit that is missing: nobody would notice until the answers run out.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from storage.commits import Head, commit_name, read_commit, read_hint
from storage.stores.base import ReadableStore

AHEAD = 64  # commits in a row that may be missing
_A_LOOK_AHEAD = 2  # of a live edge, again and again
_THREADS = 32  # a remote read waits, it does not compute


def newest_of_copy(store: ReadableStore, head: Head) -> Head | None:
    """Return the newest commit, whatever is missing before it.

    Args:
        store: where to look.
        head: what `find_head` has found.

    Raises:
        FormatError: the newest commit is damaged.
        UpgradeNeededError: the newest commit is for newer readers.
        OSError: the store does not answer.
    """
    found = head.commit.number
    while ahead := list(_present(store, range(found + 1, found + 1 + AHEAD))):
        found = ahead[-1]
    return head if found == head.commit.number else read_commit(store, found)


def beyond_gap(store: ReadableStore, number: int) -> int | None:
    """Return the number of a newer commit where the one after `number` is missing; None: nothing newer is known of.

    Args:
        store: where to look.
        number: of the newest commit up to which none is missing.

    Raises:
        OSError: the store does not answer.
    """
    newest = read_hint(store)  # written after the commit, so that this was there
    if newest <= number:
        ahead = range(number + 2, number + 2 + _A_LOOK_AHEAD)
        newest = max(_present(store, ahead), default=number)
    if newest <= number or store.exists(commit_name(number + 1)):  # published since
        return None
    return newest


def _present(store: ReadableStore, numbers: range) -> Iterable[int]:
    def is_there(number: int) -> bool:
        return store.exists(commit_name(number))

    if store.is_local:
        return filter(is_there, numbers)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="gaps") as pool:
        return [number for number, there in zip(numbers, pool.map(is_there, numbers), strict=True) if there]
