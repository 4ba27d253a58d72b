"""A rollback over large overlays: it takes no more memory than one over small ones, and finds the same."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pregen.errors import GateError
from pregen.gates.author import Author
from pregen.upkeep.rollback import RollbackTerms, RolledBack, roll_back
from storage.reader import open_reader
from storage.stores import LocalStore
from storage.tables import Window
from tests.storage.synthetic import Synthetic

OVERLAYS, BASE = 8, 1_000
HOUR = 3_600


class Store:
    """A store whose newest generation has eight large overlays, each of which revokes all in the shards, too."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.store = LocalStore(folder)
        self.synthetic = Synthetic(self.store)
        now = int(time.time())
        window = Window(
            produced_at=now - 60, this_update=now - HOUR, next_update=now + 9 * HOUR, refresh_by=now + 5 * HOUR
        )
        self.base = self.synthetic.serials(BASE)
        self.synthetic.commit(self.synthetic.packs(self.base, 2, window=window))
        self.new = [self.synthetic.serials(rows) for _ in range(OVERLAYS)]
        overlays = [
            one
            for serials in self.new
            for one in self.synthetic.packs(np.concatenate([self.base, serials]), 3, revoked=True, window=window)
        ]
        self.synthetic.commit(self.synthetic.packs(self.base, 2, window=window), overlays)

    def roll_back(self) -> RolledBack:
        terms = RollbackTerms(to=1, reason="test", author=Author("eve"), every_s=HOUR)
        return roll_back(self.store, terms, lambda *_: None)


def test_memory_does_not_grow_with_the_overlays_and_each_certificate_is_found(tmp_path: Path) -> None:
    peaks = []
    for rows in (15_000, 40_000):  # two ranges of keys, and five
        store = Store(tmp_path / str(rows), rows)
        tracemalloc.start()
        done = store.roll_back()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert done.tally.copied == {"good": 0, "revoked": OVERLAYS * rows + BASE, "on_hold": 0, "unknown": 0}
        current = open_reader(store.store).current
        assert current is not None
        contents = current.manifest.contents
        assert (contents.certificates, contents.revoked_in_overlays) == (BASE, OVERLAYS * rows + BASE)
        for serials in (store.base, *store.new):
            for serial in serials[:20]:
                answer = current.lookup(store.synthetic.cert_id(serial))
                assert answer is not None
                assert answer.status == "revoked"
    # How many ranges make a pack is chance; all of the overlays would take 2.7 times as much.
    assert peaks[1] < 1.9 * peaks[0]


def test_a_pack_of_an_overlay_that_is_lost_refuses_it_and_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path, 10)
    current = open_reader(store.store).current
    assert current is not None
    lost = current.manifest.overlays[5].pack
    store.store.delete([lost])

    with pytest.raises(GateError) as refused:
        store.roll_back()

    (finding,) = refused.value.findings
    assert (finding.code, lost in finding.message) == ("rollback.cleaned-up", True)
