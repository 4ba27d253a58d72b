"""What is urgent does not wait for a clock: overlays of a generation whose shards begin later are searched first."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from storage.edge.following.takeover import ServingReader
from storage.errors import NotServableError
from storage.reader import open_reader
from storage.stores.memory import MemoryStore
from storage.tables import Window
from tests.fakes import CountingStore
from tests.storage.synthetic import START, WINDOW, Synthetic

HOUR = 3_600
LATER, EVEN_LATER = 9 * HOUR, 11 * HOUR  # these begin after what the clock of the edge says


def window(later_s: int) -> Window:
    """Return the window of a run that took place so much later."""
    times = ("produced_at", "this_update", "next_update", "refresh_by")
    return replace(WINDOW, **{name: getattr(WINDOW, name) + later_s for name in times})


class Scene:
    """A store with one certificate good, another for each change, and an edge whose clock may be behind."""

    def __init__(self) -> None:
        self.synthetic = Synthetic(MemoryStore())
        self.serials = self.synthetic.serials(6)
        self.now = START
        self.edge = self.new_edge()
        self.run(0, [])

    def new_edge(self) -> ServingReader:
        return ServingReader(self.synthetic.store, clock=lambda: self.now)

    def run(self, later_s: int, revoked: Sequence[int]) -> None:
        """Publish shards that hold what is revoked, and no overlays."""
        which = np.isin(np.arange(len(self.serials)), revoked)
        self.shards = self.synthetic.packs(self.serials, 2, revoked=which, window=window(later_s))
        self.synthetic.commit(self.shards)

    def delta(self, *overlays: tuple[int, ...]) -> None:
        """Publish overlays that revoke, the newest first, over the same shards."""
        packs = [self.synthetic.packs(self.serials[list(of)], revoked=True)[0] for of in overlays]
        self.synthetic.commit(self.shards, packs, kind="revoke")

    def poll(self, edge: ServingReader | None = None) -> None:
        with suppress(NotServableError):
            (edge or self.edge).refresh()

    def said(self, edge: ServingReader | None = None) -> list[str | None]:
        """Return what the edge says of each certificate; None: nothing."""
        answers = [(edge or self.edge).lookup(self.synthetic.cert_id(serial)) for serial in self.serials]
        return [answer.status if answer else None for answer in answers]


def revoked(*which: int) -> list[str]:
    return ["revoked" if at in which else "good" for at in range(6)]


@pytest.mark.parametrize("polls_between", [True, False])
def test_a_revocation_that_the_next_run_has_folded_stays_while_the_clock_is_behind(polls_between: bool) -> None:
    scene = Scene()
    scene.poll()
    scene.run(LATER, [])
    scene.delta((1,))
    if polls_between:
        scene.poll()
        assert scene.said() == revoked(1)
    scene.run(EVEN_LATER, [1])
    scene.poll()
    assert scene.said() == revoked(1)
    assert scene.edge.generation == 1
    scene.now += EVEN_LATER
    scene.poll()
    assert (scene.edge.generation, scene.said()) == (4, revoked(1))


@pytest.mark.parametrize("polls", list(product([True, False], repeat=5)), ids=str)
def test_several_deltas_and_runs_while_the_clock_is_behind(polls: tuple[bool, ...]) -> None:
    scene = Scene()
    scene.poll()
    steps: tuple[Callable[[], None], ...] = (
        lambda: scene.run(LATER, []),
        lambda: scene.delta((1,)),
        lambda: scene.delta((2,), (1,)),
        lambda: scene.run(EVEN_LATER, [1, 2]),
        lambda: scene.delta((3,)),
    )
    truths = [(), (1,), (1, 2), (1, 2), (1, 2, 3)]
    for step, polls_now, truth in zip(steps, polls, truths, strict=True):
        step()
        if polls_now:
            scene.poll()
            assert scene.said() == revoked(*truth)
    scene.poll()
    assert (scene.edge.generation, scene.said()) == (1, revoked(1, 2, 3))
    restarted = scene.new_edge()
    scene.poll(restarted)
    assert scene.said(restarted) == revoked(1, 2, 3)

    scene.now += LATER  # the shards of the first run have come, those of the second have not
    scene.poll()
    assert (scene.edge.generation, scene.said()) == (4, revoked(1, 2, 3))
    scene.now += EVEN_LATER - LATER
    scene.poll()
    assert (scene.edge.generation, scene.said()) == (6, revoked(1, 2, 3))


def test_an_overlay_on_shards_that_are_served_is_taken_over_with_them() -> None:
    scene = Scene()
    scene.poll()
    scene.delta((1,))
    scene.run(LATER, [1])
    scene.poll()
    assert (scene.edge.generation, scene.said()) == (2, revoked(1))


def test_an_overlay_that_is_not_there_yet_waits_and_what_was_there_stays() -> None:
    scene = Scene()
    scene.poll()
    scene.run(LATER, [])
    scene.delta((1,))
    scene.poll()
    scene.delta((2,), (1,))
    store = scene.synthetic.store
    newest = open_reader(store).current
    assert newest is not None
    pack = newest.manifest.overlays[0].pack
    octets = store.get(pack)
    store.delete([pack])
    scene.poll()
    assert scene.said() == revoked(1)
    store.put(pack, octets)
    scene.poll()
    assert scene.said() == revoked(1, 2)


def test_waiting_costs_one_read_once_all_is_loaded() -> None:
    scene = Scene()
    counting = CountingStore(scene.synthetic.store)
    edge = ServingReader(counting, clock=lambda: scene.now)
    scene.poll(edge)
    scene.run(LATER, [])
    scene.delta((1,))
    scene.run(EVEN_LATER, [1])
    scene.poll(edge)
    counting.reset()
    scene.poll(edge)
    assert counting.operations == {"get": 1}  # the commit that is not there yet


def test_a_shard_of_certificates_that_have_ended_is_no_reason_to_serve_half_a_generation() -> None:
    scene = Scene()
    ended = replace(WINDOW, next_update=START + HOUR, ends_with_certificate=True)
    low, _ = scene.synthetic.packs(scene.serials, 2)
    _, high = scene.synthetic.packs(scene.serials, 2, window=ended)
    scene.synthetic.commit((low, high))
    scene.poll()
    assert scene.edge.generation == 2
    scene.now += 2 * HOUR
    scene.run(LATER, [])
    scene.poll()
    assert scene.edge.generation == 2  # the answers of the other shard live, and those of the next run do not yet


def test_the_epoch_is_another_one_as_soon_as_anything_else_is_said_and_only_then() -> None:
    scene, epochs = Scene(), list[object]()
    steps: list[tuple[int, Callable[[], None]]] = [
        (0, lambda: None),
        (0, lambda: scene.delta((1,))),
        (0, lambda: scene.run(LATER, [])),
        (0, lambda: scene.delta((2,), (1,))),
        (0, lambda: scene.run(EVEN_LATER, [1, 2])),
        (LATER, lambda: None),
        (EVEN_LATER, lambda: None),
    ]
    said = list[list[str | None]]()
    for later_s, publish in steps:
        publish()
        scene.now = START + later_s
        for _ in range(3):
            scene.poll()
            epochs.append(scene.edge.epoch)
            said.append(scene.said())

    for before, after in pairwise(range(len(said))):
        assert epochs[before] is not epochs[after] or said[before] == said[after]
    for first in range(0, len(said), 3):  # what is kept in memory is not forgotten at each look
        assert epochs[first + 1] is epochs[first + 2]
    assert len({tuple(one) for one in said}) > 2
