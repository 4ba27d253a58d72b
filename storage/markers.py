"""Markers of publishers that are at work: nothing that one of them has written is taken for what a dead one left.

A publisher puts `runs/<id>` when it begins, puts it again every hour, and removes it at its end. One that was killed
leaves it behind; nobody renews it, so it is dead after a few hours. When a marker was last written, is what the store's
own clock says in a listing; the marker holds when its publisher began.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from storage.document import Document, encode
from storage.errors import FormatError
from storage.stores.base import ObjectInfo, Store

MARKERS_VERSION = 1
MARKER_NAME = re.compile("runs/[0-9a-f]{32}")
RENEWED_EVERY_S = 3_600
DEAD_AFTER_S = 3 * RENEWED_EVERY_S  # two renewals may fail
_WAIT_S = 10  # for a renewal that is under way when the publisher ends


class Marker(NamedTuple):
    """A publisher that is at work, or was killed not long ago.

    Attributes:
        name: of its object.
        began_s: when it began, in seconds since 1970.
        until_s: when it counts as dead, if nobody renews its marker.
    """

    name: str
    began_s: int
    until_s: float


def encode_marker(began_s: int) -> bytes:
    """Return the stored form of a marker."""
    return encode({"version": MARKERS_VERSION, "began": began_s})


def live_markers(store: Store, now_s: float) -> list[Marker]:
    """Return the publishers that are at work; one whose marker cannot be read has begun at any time.

    Args:
        store: where they publish.
        now_s: what the store's clock says.

    Raises:
        OSError: the store does not answer.
    """
    live = [info for info in store.list("runs/") if is_alive(info, now_s)]
    return [
        Marker(info.name, began, info.written_s + DEAD_AFTER_S)
        for info in live
        if (began := _began(store, info.name)) is not None
    ]


def is_alive(marker: ObjectInfo, now_s: float) -> bool:
    """Tell whether a marker was renewed lately.

    One that seems to have been renewed in hours to come is dead as well: the store's clock was wrong then, and whoever
    is at work has renewed it since.
    """
    return MARKER_NAME.fullmatch(marker.name) is not None and abs(marker.written_s - now_s) < DEAD_AFTER_S


def _began(store: Store, name: str) -> int | None:
    try:
        return Document.parse(name, store.get(name)).instant("began")
    except FileNotFoundError:  # it has ended meanwhile
        return None
    except FormatError:
        return 0


@contextlib.contextmanager
def at_work(store: Store, began_s: int) -> Iterator[str]:
    """Keep a marker in the store while the block runs; give its name.

    Args:
        store: where is published.
        began_s: since when objects of this publisher may be in it, in seconds since 1970: the start of the first
            attempt, where a run is resumed.

    Raises:
        OSError: the store cannot be written to.
    """
    name, octets = f"runs/{os.urandom(16).hex()}", encode_marker(began_s)
    store.put(name, octets)
    try:
        with renewed(lambda: store.put(name, octets)):
            yield name
    finally:
        with contextlib.suppress(OSError):  # who may not delete leaves it, and it is dead in a few hours
            store.delete([name])


@contextlib.contextmanager
def renewed(renew: Callable[[], object]) -> Iterator[None]:
    """Renew every hour, while the block runs, whatever says that its publisher lives."""
    is_over = threading.Event()

    def every_hour() -> None:
        while not is_over.wait(RENEWED_EVERY_S):
            with contextlib.suppress(OSError):  # the next one may succeed, before the marker is dead
                renew()

    thread = threading.Thread(target=every_hour, name="marker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(_WAIT_S)
