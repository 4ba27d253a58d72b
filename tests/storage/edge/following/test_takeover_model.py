"""Whatever is published, copied and restarted in whichever order: an edge that has said revoked goes on to say it."""

import random
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from storage.edge.following.takeover import ServingReader
from storage.errors import StorageError
from storage.manifest import Shard
from storage.stores.memory import MemoryStore
from tests.storage.synthetic import START, WINDOW, Synthetic

HOUR, COUNT = 3_600, 8
COPIED = st.none() | st.randoms(use_true_random=False)
WHICH = st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=3)


class Edges(RuleBasedStateMachine):
    """One publisher, a copy of its store that may lag behind, and an edge with a clock of its own."""

    @initialize()
    def begin(self) -> None:
        self.synthetic = Synthetic(MemoryStore())
        self.serials = self.synthetic.serials(COUNT)
        self.copy = MemoryStore()
        self.now = self.publisher = START
        self.folded: set[int] = set()  # revoked by the shards
        self.overlays: list[tuple[Shard, set[int]]] = []
        self.urgent: set[int] = set()  # revoked by an overlay of a commit that has been copied whole, and still so
        self.seen: set[int] = set()
        self.shards: tuple[Shard, ...] = ()
        self.edge = ServingReader(self.copy, clock=lambda: self.now)
        self.run(set(), 0, None)

    @rule(which=st.sets(st.integers(0, COUNT - 1)), hours=st.sampled_from([0, 3, 5]), copied=COPIED)
    def run(self, which: set[int], hours: int, copied: random.Random | None) -> None:
        """Publish shards by a clock that may be ahead; what overlays say is folded in, or stays in them."""
        self.publisher += hours * HOUR
        later = self.publisher - START
        times = ("produced_at", "this_update", "next_update", "refresh_by")
        window = replace(WINDOW, **{name: getattr(WINDOW, name) + later for name in times})
        stays = [(pack, of) for pack, of in self.overlays if not of <= which]
        said = {one for _, of in self.overlays for one in of}
        self.folded |= said - {one for _, of in stays for one in of}
        self.overlays = stays
        revoked = np.isin(np.arange(COUNT), list(self.folded))
        self.shards = self.synthetic.packs(self.serials, 2, revoked=revoked, window=window)
        self._commit("run", copied)

    @rule(which=WHICH, copied=COPIED)
    def revoke(self, which: set[int], copied: random.Random | None) -> None:
        """Publish an overlay on top; many are merged."""
        self.overlays.insert(0, (self._overlay(which), which))
        if len(self.overlays) > 3:
            every = {one for _, of in self.overlays for one in of}
            self.overlays = [(self._overlay(every), every)]
        self._commit("revoke", copied)

    def _overlay(self, which: set[int]) -> Shard:
        (pack,) = self.synthetic.packs(self.serials[sorted(which)], revoked=True)
        return pack

    def _commit(self, kind: str, copied: random.Random | None) -> None:
        """Publish, and copy all, or objects in any order and only half of them; then the edge looks."""
        self.synthetic.commit(self.shards, [pack for pack, _ in self.overlays], kind=kind)
        names = sorted(info.name for info in self.synthetic.store.list())
        if copied is not None:
            copied.shuffle(names)
            names = names[: len(names) // 2]
        for name in names:
            self.copy.put(name, self.synthetic.store.get(name))
        self.poll()
        if copied is None:
            self.urgent |= {one for _, of in self.overlays for one in of}
            assert not self._said("good") & self.urgent

    @rule()
    def restart(self) -> None:
        self.edge = ServingReader(self.copy, clock=lambda: self.now)
        self.poll()

    def poll(self) -> None:
        epoch, good, revoked = self.edge.epoch, self._said("good"), self._said("revoked")
        with suppress(StorageError, FileNotFoundError):
            self.edge.refresh()
        if self.edge.epoch is epoch:  # then what is kept in memory may still be said
            assert good <= self._said("good")
            assert revoked <= self._said("revoked")

    @precondition(lambda self: self.now < self.publisher)
    @rule(hours=st.integers(1, 3))
    def let_the_clock_of_the_edge_go_on(self, hours: int) -> None:
        self.now = min(self.now + hours * HOUR, self.publisher)
        self.poll()

    @rule()
    def in_the_end_the_newest_is_served(self) -> None:
        for info in self.synthetic.store.list():
            self.copy.put(info.name, self.synthetic.store.get(info.name))
        self.now = self.publisher
        self.poll()
        assert self._said("revoked") == self.folded | {one for _, of in self.overlays for one in of}

    @invariant()
    def nobody_is_un_revoked(self) -> None:
        assert not self._said("good") & self.seen
        self.seen |= self._said("revoked")

    def _said(self, status: str) -> set[int]:
        """Return of which certificates the edge says so; of some it may say ``tryLater``."""
        found = set()
        for at, serial in enumerate(self.serials):
            with suppress(StorageError, FileNotFoundError):
                answer = self.edge.lookup(self.synthetic.cert_id(serial))
                if answer is not None and answer.status == status:
                    found.add(at)
        return found


Edges.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None, derandomize=True)
TestEdges = Edges.TestCase


class ManyEdges(Edges):
    """The same, for longer."""


ManyEdges.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
TestManyEdges = pytest.mark.slow(ManyEdges.TestCase)
