"""Requests that wait for a store side by side. `concurrent.futures` would import more than all of an inspection."""

from collections.abc import Callable, Iterable
from threading import Thread
from typing import TypeVar

AT_ONCE = 16  # each waits for the store, and takes nothing else
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def at_once(do: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Return what a function returns of each item, in their order; some threads call it.

    >>> at_once(abs, [-3, 2, -1])
    [3, 2, 1]

    Raises:
        BaseException: the first that the function has raised; no further item is begun then.
    """
    rest = enumerate(list(items))
    results: dict[int, _Result] = {}
    failures: list[BaseException] = []

    def work() -> None:
        for number, item in rest:  # enumerate itself, so that each item goes to one thread
            if failures:
                return
            try:
                results[number] = do(item)
            except BaseException as failure:  # noqa: BLE001 - it is raised again, by whoever waits
                failures.append(failure)

    threads = [Thread(target=work, name="request", daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(results))]
