"""A store that fails at each step of publishing, or loses its answer: before the commit nothing, after it all."""

import errno
import os
import signal
from collections.abc import Callable

import pytest

from pregen.__main__ import main
from storage.stores import Store, StoreAddress, open_store
from tests.fakes import FlakyStore, WrappedStore
from tests.pregen.cli.ca import Ca, Program

Plan = Callable[[FlakyStore], None]
NO_PLAN: Plan = lambda _store: None  # noqa: E731 - what workers do: only the publisher's own store fails
plan = NO_PLAN


def open_flaky(address: StoreAddress) -> Store:
    store = FlakyStore(open_store(address))
    plan(store)
    return store


@pytest.fixture
def published(ca: Ca, monkeypatch: pytest.MonkeyPatch) -> Ca:
    """A CA with a current generation, and from now on a store that does as `plan` says."""
    assert main(["run", str(ca.config)]) == 0
    monkeypatch.setattr("pregen.config.file.open_store", open_flaky)
    return ca


def full(where: str) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where)


@pytest.mark.parametrize(
    ("operation", "place"), [("put", "windows/"), ("put", "manifests/"), ("put_if_absent", "commits/")]
)
def test_a_store_that_is_full_before_the_commit_publishes_nothing(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, operation: str, place: str
) -> None:
    before = published.stored()
    monkeypatch.setitem(globals(), "plan", lambda store: store.fail(operation, place, error=full(place)))

    ended = pregen("run", published.config, "--full", "--json")

    assert (ended.code, ended.error["code"]) == (5, "storage")
    assert f"{place}: No space left on device: free some space" in ended.err
    after = published.stored()
    assert {name: after[name] for name in before} == before
    assert published.published().keys() == {"LATEST", "commits/00000000000000000001"}
    published.assert_clean()


def test_a_commit_whose_answer_is_lost_is_recognised_as_ours(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "plan", lambda store: store.fail("put_if_absent", "commits/", applied=True))

    ended = pregen("run", published.config, "--json")

    assert (ended.code, ended.document["commit"]) == (0, 2)
    assert published.published()["LATEST"] == b"2"


def test_a_commit_that_the_store_repeated_by_itself_is_recognised_as_ours(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first answer got lost, and the second says that somebody was there before."""

    def applied_and_refused(store: FlakyStore) -> None:
        store.fail("put_if_absent", "commits/", applied=True, error=FileExistsError(errno.EEXIST, "there", "commits/"))

    monkeypatch.setitem(globals(), "plan", applied_and_refused)

    assert pregen("run", published.config, "--json").document["commit"] == 2


def test_a_commit_of_which_nobody_knows_says_how_to_find_out(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "plan", lambda store: store.fail("put_if_absent", "commits/"))

    ended = pregen("run", published.config, "--json")

    assert (ended.code, ended.error["code"]) == (5, "storage")
    assert "whether commit 2" in ended.err
    assert "look with `pregen inspect`" in ended.err


def test_a_hint_that_could_not_be_written_is_no_failure(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "plan", lambda store: store.fail("put", "LATEST"))

    assert pregen("run", published.config, "--json").document["commit"] == 2
    assert published.published()["LATEST"] == b"1"
    assert pregen("inspect", published.store, "--json").document["commits"][0]["number"] == 2  # type: ignore[index]


def test_a_store_that_does_not_answer_at_first_fails_the_run_before_any_work(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "plan", FlakyStore.go_away)

    for command in ("run", "check"):
        ended = pregen(command, published.config, "--json")
        assert (ended.code, ended.error["code"]) == (5, "storage")
        assert f"{published.store.as_uri()}: no answer" in ended.err
    published.assert_clean()


class SignallingStore(WrappedStore):
    """Lets this process be sent a signal at the moment of a write."""

    number = signal.SIGTERM
    place = "nowhere/"  # in workers

    def _call(self, operation: str, name: str) -> None:
        if operation.startswith("put") and name.startswith(self.place):
            os.kill(os.getpid(), self.number)


def open_signalling(address: StoreAddress) -> Store:
    return SignallingStore(open_store(address))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_the_commit_publishes_nothing(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    before = published.published()
    monkeypatch.setattr("pregen.config.file.open_store", open_signalling)
    monkeypatch.setattr(SignallingStore, "number", number)
    monkeypatch.setattr(SignallingStore, "place", "windows/")

    assert pregen("run", published.config, "--full").code == code
    assert published.published() == before
    published.assert_clean()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("place", ["manifests/", "commits/", "LATEST"])
def test_a_signal_during_the_commit_comes_too_late_and_what_is_said_is_true(
    published: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, place: str
) -> None:
    monkeypatch.setattr("pregen.config.file.open_store", open_signalling)
    monkeypatch.setattr(SignallingStore, "number", number)
    monkeypatch.setattr(SignallingStore, "place", place)

    ended = pregen("run", published.config, "--json")

    assert (ended.code, ended.document["commit"]) == (0, 2)
    assert published.published()["LATEST"] == b"2"
