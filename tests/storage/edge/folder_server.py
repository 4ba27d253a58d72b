"""A server whose source is a folder: ``python folder_server.py FOLDER PORT WORKERS local|remote``.

``FOLDER/generation`` holds a number N; then the serials 1 to N are stored. Some serials misbehave: a lookup of the slow
one makes the file ``FOLDER/slow``, and does not end before ``FOLDER/held`` is gone, where there is one.
"""

import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from storage.certid import CertID
from storage.edge.serving import server
from storage.edge.serving.settings import Settings
from storage.edge.source import STORE_DEADLINE_S, LiveSource, Loaded
from storage.edge.watching.counters import Counts
from storage.errors import NothingPublishedError
from storage.reader import Answer
from storage.stores import NotAtHandError
from tests.storage.edge.answers import encode_response, freshness_until

if TYPE_CHECKING:
    from storage.freshness import Freshness

SLOW, DEFECT, UNREACHABLE, HANGING = 0x5101, 0x5102, 0x5103, 0x5104
SLOW_S = 0.2


class FolderSource:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.generation: int | None = None
        self.freshness: Freshness | None = None
        self.epoch: object = None  # nothing is kept

    def refresh(self) -> bool:
        try:
            text = (self._folder / "generation").read_text()
        except FileNotFoundError:
            raise NothingPublishedError(self._folder.as_uri()) from None
        if text == "broken":
            raise ConnectionError("the store is gone")
        before, self.generation = self.generation, int(text)
        self.freshness = freshness_until(int(time.time()) + 86_400)
        return before != self.generation

    loaded: Loaded | None = None

    def store_clock_s(self) -> float | None:
        return None

    def lookup(self, cert_id: CertID) -> Answer | None:
        if self.generation is None:
            raise NothingPublishedError(self._folder.as_uri())
        serial = cert_id.serial_number
        if serial == DEFECT:
            raise KeyError("a defect")
        if serial == UNREACHABLE:
            raise ConnectionError("the store is gone")
        if serial == HANGING:
            if threading.current_thread() is threading.main_thread():
                raise NotAtHandError("packs/on-a-disk-that-hangs")
            time.sleep(3600)
        if serial == SLOW:
            (self._folder / "slow").touch()
            time.sleep(SLOW_S)
            while (self._folder / "held").exists():
                time.sleep(0.01)
        elif not 1 <= serial <= self.generation:
            return None
        today = int(time.time()) // 86_400 * 86_400
        end = today + 4 * 86_400 - 1
        der = encode_response(cert_id, this_update=today, next_update=end)
        return Answer(der, "good", today, today, end, today + 2 * 86_400, self.generation)


def open_folder(folder: Path, is_local: bool, _counts: Counts) -> tuple[LiveSource, bool]:
    return FolderSource(folder), is_local


if __name__ == "__main__":
    folder, port, workers, kind = sys.argv[1:]
    opener = partial(open_folder, Path(folder), kind == "local")
    settings = Settings(refresh_s=0.2, store_deadline_s=60 if kind == "remote" else STORE_DEADLINE_S)
    sys.exit(server.run(opener, host="127.0.0.1", port=int(port), workers=int(workers), settings=settings))
