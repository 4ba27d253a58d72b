"""Somebody lands an urgent change each time before another command commits: that one lands in the end all the same."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pregen.overlays.records import MOST_OVERLAYS, overlay_count
from storage.manifest import read_manifest
from storage.reader import open_reader
from storage.stores.address import SCHEMES, Scheme
from storage.stores.local import LocalStore
from tests.fakes import WrappedStore
from tests.pregen.cli.ca import Ca, Outcome, Program

TIMES = 6  # more than one each 10 s makes of a command that takes a minute
FIRST = 1 << 40


class BusyStore(WrappedStore):
    """Where somebody else commits before each of the first commits."""

    others: Iterator[Callable[[], None]] = iter(())

    def _call(self, operation: str, name: str, /) -> None:
        if operation == "put_if_absent" and name.startswith("commits/"):
            for other in BusyStore.others:
                other()
                break


@pytest.fixture
def busy(ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch) -> Ca:
    """A CA with two generations; what `busy.toml` configures is its store, where somebody else is faster."""
    opened = Scheme("busy:PATH", str, lambda address: BusyStore(LocalStore(Path(address.url.partition(":")[2]))))
    monkeypatch.setitem(SCHEMES, "busy", opened)
    ca.export_many(40)
    ca.configure(name="busy.toml", publish={"store": f"busy:{ca.store}"})
    for _ in range(2):
        assert pregen("run", ca.config, "--full").code == 0
    others = (lambda serial=FIRST + number: revoke(ca, pregen, serial) for number in range(TIMES))
    monkeypatch.setattr(BusyStore, "others", others)
    return ca


def revoke(ca: Ca, pregen: Program, serial: int) -> None:
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{serial:x}").code == 0


def busily(ca: Ca, pregen: Program, name: str, *words: object) -> Outcome:
    done = pregen(name, ca.folder / "busy.toml", *words, "--json")
    assert done.code == 0, done.err
    assert not [*BusyStore.others], "all of them were faster"
    return done


def statuses(ca: Ca, pregen: Program, *numbers: int) -> list[object]:
    words = ("lookup", ca.store, "--issuer", ca.pem, "--json", "--serial")
    return [pregen(*words, f"{FIRST + number:x}").document["status"] for number in numbers]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rollback", ("--to", "1", "--reason", "test")),
        ("gc", ("--keep", "1", "--grace", "0s")),
        ("run", ()),
    ],
    ids=["rollback", "gc", "run"],
)
def test_a_command_lands_in_the_end(busy: Ca, pregen: Program, name: str, words: tuple[str, ...]) -> None:
    busily(busy, pregen, name, *words)
    assert statuses(busy, pregen, *range(TIMES + 1)) == ["revoked"] * TIMES + ["good"]
    assert pregen("verify", busy.store).code == 0


def test_a_merge_lands_in_the_end(busy: Ca, pregen: Program) -> None:
    for number in range(TIMES, TIMES + MOST_OVERLAYS):
        revoke(busy, pregen, FIRST + number)

    busily(busy, pregen, "revoke", "--issuer", "r1", "--serial", f"{FIRST + 30:x}")

    assert statuses(busy, pregen, *range(TIMES + MOST_OVERLAYS), 30, 31) == ["revoked"] * (
        TIMES + MOST_OVERLAYS + 1
    ) + ["good"]
    current = open_reader(LocalStore(busy.store)).current
    assert current is not None
    manifest = read_manifest(LocalStore(busy.store), current.commit.manifest)
    assert overlay_count(manifest.overlays) <= MOST_OVERLAYS
    assert pregen("verify", busy.store).code == 0
