"""A store that is cleaned up under a running edge: what it serves stays for the grace, and no answer is wrong."""

import sys
from pathlib import Path

import pytest

from pregen.upkeep import CleaningTerms, RetentionRules, clean
from storage.edge.following.takeover import ServingReader
from storage.edge.record import OcspStatus, Outcome
from storage.edge.respond import HttpRequest, Reply, respond
from storage.edge.serving.launch import open_live_reader
from storage.stores import LocalStore, Store, StoreAddress
from tests.pregen.upkeep.stores import DAY, HOUR, DatedStore
from tests.storage.edge.answers import encode_request
from tests.storage.synthetic import START, Synthetic


def cleaned(store: Store, grace_s: int) -> int:
    """Keep the current generation alone; return how many objects went."""
    rules = RetentionRules(generations=1, keep_s=None, grace_s=grace_s)
    return clean(store, CleaningTerms(rules=rules), lambda *_: None).total.objects


class Scene:
    """A store with ten certificates that were good, and are revoked since; an edge that has not heard of that."""

    def __init__(self) -> None:
        self.store = DatedStore()
        self.synthetic = Synthetic(self.store)
        self.serials = self.synthetic.serials(10)
        self.synthetic.commit(self.synthetic.packs(self.serials))
        self.edge = ServingReader(self.store, clock=lambda: START)
        self.edge.refresh()
        self.synthetic.commit(self.synthetic.packs(self.serials, revoked=True))

    def reply(self) -> Reply:
        """Return what a client gets that asks for the first certificate."""
        body = encode_request(self.synthetic.cert_id(self.serials[0]))
        return respond(self.edge, HttpRequest(method="POST", raw_path=b"/", headers={}, body=body), START)

    def status(self) -> str | None:
        answer = self.edge.lookup(self.synthetic.cert_id(self.serials[0]))
        return answer.status if answer else None


def test_an_edge_that_was_cut_off_for_less_than_the_grace_answers_on() -> None:
    scene = Scene()
    scene.store.age(DAY - HOUR)
    assert cleaned(scene.store, DAY) == 0
    assert scene.status() == "good"


def test_one_that_was_cut_off_for_longer_says_try_later_until_it_looks_again() -> None:
    scene = Scene()
    scene.store.age(DAY + HOUR)
    assert cleaned(scene.store, DAY) > 0

    reply = scene.reply()
    assert (reply.record.ocsp, reply.record.outcome) == (OcspStatus.tryLater, Outcome.DAMAGED)
    assert dict(reply.headers)["Cache-Control"] == "no-store"

    assert scene.edge.refresh() is True
    assert (scene.edge.generation, scene.status()) == (3, "revoked"), "the commit of the cleaning is the newest"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for open files in /proc")
def test_files_of_a_generation_that_is_not_served_any_more_take_no_room_once_they_are_deleted(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    synthetic = Synthetic(store)
    serials = synthetic.serials(10)
    synthetic.commit(synthetic.packs(serials, 3))
    edge, _ = open_live_reader(StoreAddress(str(tmp_path)))
    edge.refresh()
    for serial in serials:
        assert edge.lookup(synthetic.cert_id(serial))
    former = {path.name for path in (tmp_path / "packs").iterdir()}
    synthetic.commit(synthetic.packs(serials, 3, revoked=True))
    store.delete([f"packs/{name}" for name in former])
    assert still_open(tmp_path) == former

    assert edge.refresh() is True

    assert still_open(tmp_path) == set()
    assert {answer.status for serial in serials if (answer := edge.lookup(synthetic.cert_id(serial)))} == {"revoked"}


def still_open(folder: Path) -> set[str]:
    """Return the names of packs that are deleted and that this process keeps open."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except FileNotFoundError:  # that of the listing itself
            continue
    gone = [target.removesuffix(" (deleted)") for target in targets if target.endswith(" (deleted)")]
    return {Path(target).name for target in gone if target.startswith(str(folder / "packs"))}
