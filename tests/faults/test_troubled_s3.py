"""Trouble between a store and a real S3 server: nothing is lost, nothing is committed twice, and it ends in good time.

What a store says of each call is held against a plain model that knows what may be there. The seed of a test is in its
name, and makes the same troubles again.
"""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from storage.commits import CommitTerms, find_head, new_publisher, publish, read_commit
from storage.errors import CommitRefusedError, CommitUnknownError
from storage.manifest import Manifest
from storage.reader import open_reader
from storage.stores import Store, StoreAddress, StoreOptions, open_store
from tests.pregen.cli.ca import GOOD, REVOKED, Ca, Program
from tests.s3 import S3Server
from tests.troubled_s3 import Request, Trouble, TroubledS3, no_trouble, seldom

SHARE = 0.35  # of requests that meet trouble: some meet it as often as they are repeated
NAMES = [f"packs/{number}" for number in range(6)] + ["commits/1", "commits/2", "LATEST"]
ABSENT = None
Content = bytes | None


@pytest.fixture
def proxy(s3_environment: S3Server) -> Iterator[TroubledS3]:
    with TroubledS3(s3_environment.endpoint).running() as proxy:
        yield proxy


@pytest.fixture
def address(s3_environment: S3Server, proxy: TroubledS3) -> StoreAddress:
    """An empty store behind the proxy."""
    return StoreAddress(f"s3://{s3_environment.new_bucket()}/ca", StoreOptions(endpoint=proxy.endpoint))


class Model:
    """What may be in a store: of each name all contents that it may have, more than one after an open outcome."""

    def __init__(self, store: Store, dice: random.Random) -> None:
        self.store = store
        self.dice = dice
        self.may_be: dict[str, set[Content]] = {name: {ABSENT} for name in NAMES}
        self.failed = 0
        self.said: set[str] = set()

    def step(self) -> None:
        name = self.dice.choice(NAMES)
        operation: Callable[[str], None] = self.dice.choice([self.put, self.create, self.get, self.part, self.delete])
        if self.dice.random() < 0.1:
            self.list()
        try:
            operation(name)
        except ConnectionError as error:
            self.failed += 1
            self.said.add(str(error))

    def put(self, name: str) -> None:
        octets = self.dice.randbytes(self.dice.choice([0, 1, 100, 5_000]))
        self.may_be[name].add(octets)
        self.store.put(name, octets)
        self.may_be[name] = {octets}

    def create(self, name: str) -> None:
        octets = self.dice.randbytes(20)
        before = set(self.may_be[name])
        if ABSENT in before:
            self.may_be[name].add(octets)
        try:
            self.store.put_if_absent(name, octets)
        except FileExistsError:
            self.may_be[name].discard(ABSENT)  # it, or what was there: the caller reads it back
            assert self.may_be[name]
        else:
            assert ABSENT in before
            self.may_be[name] = {octets}

    def get(self, name: str) -> None:
        try:
            found: Content = self.store.get(name)
        except FileNotFoundError:
            found = ABSENT
        assert found in self.may_be[name]
        self.may_be[name] = {found}

    def part(self, name: str) -> None:
        try:
            found = self.store.get_range(name, 1, 2)
        except FileNotFoundError:
            assert ABSENT in self.may_be[name]
        except EOFError:
            assert any(octets is not None and len(octets) < 3 for octets in self.may_be[name])
        else:
            assert any(octets is not None and octets[1:3] == found for octets in self.may_be[name])

    def delete(self, name: str) -> None:
        self.may_be[name].add(ABSENT)
        self.store.delete([name, "packs/never-there"])
        self.may_be[name] = {ABSENT}

    def list(self) -> None:
        try:
            found = {one.name: one.size_bytes for one in self.store.list()}
        except ConnectionError:
            self.failed += 1
            return
        for name, contents in self.may_be.items():
            sizes = {None if octets is None else len(octets) for octets in contents}
            assert found.get(name) in sizes


def go_through(address: StoreAddress, proxy: TroubledS3, seed: int, steps: int) -> None:
    proxy.plan = seldom(seed, SHARE)
    model = Model(open_store(address), random.Random(seed))
    for _ in range(steps):
        model.step()
    proxy.plan = no_trouble
    for name in NAMES:
        model.get(name)
    assert len(proxy.made) == len(Trouble) - 1, "every kind but silence was met"
    assert 0 < model.failed < steps / 4, "most troubles are got over, and not all"
    assert all(proxy.endpoint in said or "again and again: run again" in said for said in model.said)


@pytest.mark.parametrize("seed", [1])
def test_what_a_store_says_is_true_whatever_happens_on_the_way(
    address: StoreAddress, proxy: TroubledS3, seed: int
) -> None:
    go_through(address, proxy, seed, 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_what_a_store_says_is_true_in_two_thousand_calls(address: StoreAddress, proxy: TroubledS3, seed: int) -> None:
    go_through(address, proxy, seed, 200)


def publish_until_told_otherwise(address: StoreAddress, wanted: int) -> list[str]:
    """Publish some generations; return the ids of those that were said to be published."""
    store, won = open_store(address), list[str]()
    while len(won) < wanted:
        publisher = new_publisher()
        manifest = Manifest(profile="lab", shards=(), counts={}, gates={})
        try:
            publish(store, find_head(store), manifest, CommitTerms(publisher=publisher, as_of=0, started_at=0))
        except (CommitRefusedError, CommitUnknownError, ConnectionError):
            continue
        won.append(publisher)
    return won


@pytest.mark.parametrize("wanted", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_no_commit_is_lost_and_none_is_made_twice(address: StoreAddress, proxy: TroubledS3, wanted: int) -> None:
    proxy.plan = seldom(wanted, 0.2)
    with ThreadPoolExecutor(2) as pool:
        claims = list(pool.map(publish_until_told_otherwise, [address] * 2, [wanted] * 2))
    proxy.plan = no_trouble

    head = find_head(store := open_store(address))
    assert head is not None
    log = [read_commit(store, number) for number in range(1, head.commit.number + 1)]
    publishers = [one.commit.publisher for one in log if one]
    assert len(publishers) == head.commit.number == len(set(publishers)), "no gap, and nobody is there twice"
    for won in claims:
        assert [publisher for publisher in publishers if publisher in won] == won, "in the order in which it was said"


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble.SLOW_DOWN,
        Trouble.LOST,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (Trouble.INTERNAL, Trouble.DONE_BUT_500, Trouble.RESET)),
    ],
)
def test_attempts_are_bounded_and_chance_spreads_them(
    address: StoreAddress, proxy: TroubledS3, trouble: Trouble
) -> None:
    times: list[list[float]] = []

    def plan(_: Request) -> Trouble:
        times[-1].append(time.monotonic())
        return trouble

    proxy.plan = plan
    store = open_store(address)
    calls: list[Callable[[], object]] = [
        lambda: store.get("packs/1"),
        lambda: store.put("packs/1", b"1"),
        lambda: store.put_if_absent("packs/1", b"1"),
        lambda: store.delete(["packs/1"]),
        lambda: list(store.list()),
    ]
    for call in calls:
        times.append([])
        began = time.monotonic()
        with pytest.raises((ConnectionError, FileExistsError)):
            call()
        assert time.monotonic() - began < 12
        assert 2 <= len(times[-1]) <= 6
    gaps = {round(later - earlier, 3) for one in times for earlier, later in pairwise(one)}
    assert len(gaps) > len(times), "they are not the same at each call"


@pytest.mark.slow
def test_a_server_that_takes_a_write_and_says_nothing_is_waited_for_once(
    address: StoreAddress, proxy: TroubledS3
) -> None:
    proxy.plan = lambda _: Trouble.SILENT
    store = open_store(address)

    calls: list[Callable[[], object]] = [
        lambda: store.put("packs/1", b"1"),
        lambda: store.put_if_absent("packs/1", b"1"),
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(ConnectionError, match="no answer in time"):
            call()
        assert time.monotonic() - began < 75


def assert_whole(ca: Ca, pregen: Program, address: str, commit: int) -> None:
    """The generation is there, and all of its answers are right."""
    assert pregen("verify", address, "--issuer", ca.pem, "--all", "--json").document["commit"] == commit
    for serial, status in ((GOOD, "good"), (REVOKED, "revoked")):
        found = pregen("lookup", address, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
        assert found.document["status"] == status


@pytest.mark.parametrize("seed", [3, 4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 130))])
def test_a_run_gets_through_trouble_or_publishes_nothing_and_says_who_failed(
    ca: Ca, pregen: Program, s3_environment: S3Server, proxy: TroubledS3, seed: int
) -> None:
    address = f"s3://{s3_environment.new_bucket()}/ca"
    ca.configure(publish={"store": address, "s3": {"endpoint": proxy.endpoint}})
    assert pregen("run", ca.config).code == 0
    commits = 1
    for night in range(3):
        proxy.plan = seldom(seed * 100 + night, 0.2)
        ended = pregen("run", ca.config, "--json")
        proxy.plan = no_trouble
        reader = open_reader(open_store(StoreAddress(address))).current
        assert reader is not None
        if ended.code == 0:
            commits += 1
        else:
            assert (ended.code, ended.error["code"]) == (5, "storage"), ended.err
            assert proxy.endpoint in ended.err
            if "whether commit" in ended.err:  # the one outcome that nobody could learn then
                commits = reader.commit.number
        assert reader.commit.number == commits
        assert_whole(ca, pregen, address, commits)
    assert proxy.made
