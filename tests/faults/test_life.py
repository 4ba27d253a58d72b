"""The life of a store against a plain dict: runs and urgent changes in any order, two publishers, crashes, cleanings.

Some runs go on where another was stopped, and some cannot sign for an issuer, which is left behind. After each step a
reader sees one commit's truth, which is the dict's, and the law holds: what was published as revoked for good is not
answered good, but where that was accepted by name.
"""

import atexit
import contextlib
import functools
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pregen.__main__ import main
from pregen.config import load_config
from pregen.errors import PregenError
from pregen.exit_codes import ExitCode
from pregen.gates import Acceptance
from pregen.gates.comparison import RememberedStatus
from pregen.generation.preparation import RunOptions, prepare
from pregen.generation.publication import publish_prepared
from pregen.generation.rows import sharding
from pregen.generation.work.steps import Steps
from pregen.overlays.entries import newest
from pregen.overlays.records import MOST_OVERLAYS, pack_entries
from storage.certid import HASH_OIDS, CertID
from storage.errors import StorageError
from storage.reader import Generation, open_reader
from storage.stores.address import SCHEMES, Scheme
from storage.stores.local import LocalStore
from tests.fakes import WrappedStore
from tests.faults.life_model import (
    DELTA,
    GOOD,
    HELD,
    KEY_COMPROMISE,
    NO_REASON,
    ON_HOLD,
    REVOKED,
    RUN,
    SUPERSEDED,
    UNKNOWN,
    Model,
    Refused,
    Rows,
    Said,
    taken_back,
)
from tests.pregen.cli.ca import Ca, instants, octets
from tests.pregen.cli.two import SECOND, second_issuer

ANCHOR = 0x5000  # is always there and good, as a snapshot without a row is refused
SERIALS = tuple(range(0x1001, 0x1006))
FILLERS = range(0x7000, 0x7028)  # come and go, and are good
ROWS_A_SHARD = 8
STEP_S = 20  # less than clocks of different machines are apart
STATUS_OF = {GOOD: 0, REVOKED: 1, HELD: 1, UNKNOWN: 2}
NAME_OF = {
    RememberedStatus.GOOD: GOOD,
    RememberedStatus.REVOKED: REVOKED,
    RememberedStatus.ON_HOLD: HELD,
    RememberedStatus.UNKNOWN: UNKNOWN,
}
WORDS = {KEY_COMPROMISE: ("--reason", "keyCompromise"), SUPERSEDED: ("--reason", "superseded"), NO_REASON: ()}
ACCEPTED = ("--accept", "unrevoke", "--reason", "test")
serials = st.sampled_from(SERIALS)
kinds = st.sampled_from(
    [(GOOD, NO_REASON)] * 3
    + [(UNKNOWN, NO_REASON), (HELD, ON_HOLD)]
    + [(REVOKED, reason) for reason in (NO_REASON, SUPERSEDED, KEY_COMPROMISE)]
)
sources = st.dictionaries(serials, kinds, max_size=len(SERIALS))
lags = st.sampled_from([0, 30, 180])
clocks = st.sampled_from([0, 0, 30, -30])  # of the machine that a command is called on
growths = st.sampled_from([0, 0, 0, len(FILLERS) // 4, len(FILLERS)])
last_calls = st.integers(0, 40)


class Trouble:
    """What happens to a store: somebody else publishes before the first commit, or it goes away at a certain call."""

    def __init__(self) -> None:
        self.change: Callable[[], object] | None = None
        self.left: int | None = None

    @contextlib.contextmanager
    def now(self, change: Callable[[], object] | None = None, ends_at: int | None = None) -> Iterator[None]:
        self.change, self.left = change, ends_at
        try:
            yield
        finally:
            self.change = self.left = None


TROUBLE = Trouble()
TROUBLED = "troubled"


class TroubledStore(WrappedStore):
    """A folder that has whatever trouble there is; all commands and their workers open it by its address."""

    def _call(self, operation: str, name: str, /) -> None:
        if TROUBLE.left is not None:
            TROUBLE.left -= 1
            if TROUBLE.left < 0:
                raise ConnectionError(f"{operation} {name}: the store has gone away")

    def put_if_absent(self, name: str, data: bytes) -> None:
        self._call("put_if_absent", name)
        change, TROUBLE.change = TROUBLE.change, None
        if change is not None and name.startswith("commits/"):
            change()
        else:
            TROUBLE.change = change
        self.inner.put_if_absent(name, data)


@pytest.fixture(autouse=True)
def _troubled_stores_and_small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a kind of store that has trouble, and let few rows fill a shard, so that growth splits them."""
    opened = Scheme(
        "troubled:PATH", str, lambda address: TroubledStore(LocalStore(Path(address.url.partition(":")[2])))
    )
    monkeypatch.setitem(SCHEMES, TROUBLED, opened)
    monkeypatch.setattr(sharding, "SHARD_ROWS", ROWS_A_SHARD)


@functools.cache
def authority() -> Ca:
    """Return the CA of all sequences, whose keys are made once; each has a store of its own."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="life-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ca = Ca(folder)
    second_issuer(ca)
    any_size = {"share": 1.0, "count": 1_000_000}
    ca.configure(
        {**SECOND, "cert_ids": "sha256"},
        publish={"store": f"{TROUBLED}:{ca.store}"},
        issuer={"on_trouble": "leave-behind", "cert_ids": "sha256"},
        validity={"profile": "lab", "lifetime": "4d"},
        gates={"shrink": any_size, "growth": any_size, "issuer_missing": 2, "unrevoke": 1_000},
    )
    return ca


@functools.cache
def first_generation() -> tuple[Path, Model, int]:
    """Return a store with one generation, with which all sequences begin, its dict, and its as_of."""
    life = Life.__new__(Life)
    life.ca, life.now, life.as_of, life.model = authority(), int(authority().now.timestamp()), 0, Model()
    life.ahead_s = 0
    rows = life.snapshot(dict.fromkeys(SERIALS[:-1], (GOOD, NO_REASON)), 0)
    code, said = life.command("run", life.ca.config)
    assert code == ExitCode.DONE, said
    kept = life.ca.folder / "first"
    shutil.move(life.ca.store, kept)
    return kept, life.model.run(rows), life.now


class Life(RuleBasedStateMachine):
    """One store, its dict, and what the CA's database says."""

    all_crash = False  # whether other commands than runs lose their store, too

    def __init__(self) -> None:
        super().__init__()
        self.ca = authority()
        first, model, self.now = first_generation()
        shutil.rmtree(self.ca.store, ignore_errors=True)
        shutil.copytree(first, self.ca.store)
        self.model, self.as_of = Model(dict(model.shards)), self.now
        self.ahead_s = 0
        self.final: set[int] = set()
        self.past: dict[int, tuple[Model, int, int]] = {}  # by commit: the dict, its as_of, and its base

    def teardown(self) -> None:
        shutil.rmtree(self.ca.store, ignore_errors=True)
        for journal in self.ca.spool.iterdir():  # of another store, which had the same name
            journal.unlink()

    def export(self, source: Mapping[int, tuple[str, int]], as_of: int, origin: str, to: str) -> Rows:
        """Write rows, and return what they say."""
        at = self.now - 86_400
        rows = {
            serial: Said(status, at if STATUS_OF[status] == 1 else 0, reason, as_of, origin)
            for serial, (status, reason) in sorted(source.items())
        }
        moments = [datetime.fromtimestamp(one.at, UTC) if one.at else None for one in rows.values()]
        self.ca.export(
            to=to,
            as_of=datetime.fromtimestamp(as_of, UTC),
            serial=octets(*rows),
            issuer=pa.array(["r2" if serial == ANCHOR else "r1" for serial in rows]),
            status=pa.array([STATUS_OF[one.status] for one in rows.values()], pa.uint8()),
            revoked_at=instants(*moments),
            reason=pa.array([one.reason if one.reason >= 0 else None for one in rows.values()], pa.int8()),
            not_after=instants(*[self.ca.now + timedelta(days=300)] * len(rows)),
        )
        return rows

    def command(self, *words: object) -> tuple[int, str]:
        """Call a command; return its exit code and what it said."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*map(str, words), "--now", datetime.fromtimestamp(self.clock, UTC).isoformat()])
        return code, err.getvalue()

    def done(self, expected: Callable[[], Rows], *words: object) -> Rows:
        """Call a command, which does what the dict says; return what lands."""
        try:
            lands = expected()
        except Refused:
            code, said = self.command(*words)
            assert code == ExitCode.REFUSED, said
            return {}
        code, said = self.command(*words)
        assert code == ExitCode.DONE, said
        return lands

    def tick(self, ahead_s: int = 0) -> None:
        """Let time pass; the next command is called on a machine whose clock is ahead so much."""
        self.now += STEP_S
        self.ahead_s = ahead_s

    @property
    def clock(self) -> int:
        """What the clock of the machine says."""
        return self.now + self.ahead_s

    @rule(source=sources, lag=lags, ahead_s=clocks, more=growths, accepts=st.booleans(), full=st.booleans())
    def run(
        self, source: Mapping[int, tuple[str, int]], lag: int, ahead_s: int, more: int, *, accepts: bool, full: bool
    ) -> None:
        rows = self.snapshot({**source, **dict.fromkeys(FILLERS[:more], (GOOD, NO_REASON))}, lag, ahead_s)
        words = (*(ACCEPTED if accepts else ()), *(("--full",) if full else ()))
        try:
            after = self.model.run(rows, accepts=accepts)
        except Refused:
            code, said = self.command("run", self.ca.config, *words)
            assert code == ExitCode.REFUSED, said
            return
        code, said = self.command("run", self.ca.config, *words)
        assert code == ExitCode.DONE, said
        self.model, self.as_of = after, next(iter(rows.values())).as_of
        if accepts:
            self.freed()

    def snapshot(self, source: Mapping[int, tuple[str, int]], lag: int, ahead_s: int = 0) -> Rows:
        """Export a snapshot that is not older than the one before."""
        self.tick(ahead_s)
        return self.export(
            {**source, ANCHOR: (GOOD, NO_REASON)}, max(self.now - lag, self.as_of), RUN, "snapshot.parquet"
        )

    @rule(source=sources.filter(bool), lag=lags, ahead_s=clocks, accepts=st.booleans())
    def delta(self, source: Mapping[int, tuple[str, int]], lag: int, ahead_s: int, *, accepts: bool) -> None:
        self.tick(ahead_s)
        rows = self.export(source, self.now - lag, DELTA, "delta.parquet")
        expected, words = self.delta_of(rows, accepts=accepts)
        self.model.overlays.update(self.done(expected, *words))
        if accepts:
            self.freed()

    def delta_of(self, rows: Rows, *, accepts: bool = False) -> tuple[Callable[[], Rows], tuple[object, ...]]:
        """Return what tells what lands of a delta, and its command line."""
        words = ("delta", self.ca.config, self.ca.folder / "delta.parquet", *(ACCEPTED if accepts else ()))
        return lambda: self.model.delta(rows, accepts=accepts), words

    @rule(serial=serials, ahead_s=clocks, reason=st.sampled_from([NO_REASON, SUPERSEDED, KEY_COMPROMISE]))
    def revoke(self, serial: int, ahead_s: int, reason: int) -> None:
        self.tick(ahead_s)
        self.model.overlays.update(self.changed("revoke", serial, reason))

    @rule(serial=serials, ahead_s=clocks, command=st.sampled_from(["hold", "release"]))
    def hold(self, serial: int, ahead_s: int, command: str) -> None:
        self.tick(ahead_s)
        self.model.overlays.update(self.changed(command, serial))

    @rule(serial=serials)
    def pile_up(self, serial: int) -> None:
        """So many urgent changes that the next one, or the last of these, merges them."""
        said = self.model.says(serial)
        for _ in range(MOST_OVERLAYS - 1 if said and not said.is_final else 0):
            said = self.model.says(serial)
            assert said is not None
            self.hold(serial, 0, "release" if said.status == HELD else "hold")

    def changed(self, command: str, serial: int, reason: int = NO_REASON) -> Rows:
        """Revoke, hold or release a certificate; return what lands."""
        return self.done(self.rule_of(command, serial, reason), *self.words(command, serial, reason))

    def rule_of(self, command: str, serial: int, reason: int) -> Callable[[], Rows]:
        """Return what tells what lands of a command."""
        rules: dict[str, Callable[[], Rows]] = {
            "revoke": lambda: self.model.revoke(serial, reason, self.clock),
            "hold": lambda: self.model.hold(serial, self.clock),
            "release": lambda: self.model.release(serial, self.clock),
        }
        return rules[command]

    def words(self, command: str, serial: int, reason: int) -> tuple[object, ...]:
        return command, self.ca.config, "--issuer", "r1", "--serial", f"{serial:x}", *WORDS[reason]

    @precondition(lambda self: self.all_crash)
    @rule(
        source=sources.filter(bool),
        serial=serials,
        command=st.sampled_from(["delta", "revoke", "hold", "release"]),
        ends_at=last_calls,
    )
    def urgent_crash(self, source: Mapping[int, tuple[str, int]], serial: int, command: str, ends_at: int) -> None:
        """An urgent change, which may merge others, loses its store at any call; said once more, it is done."""
        self.tick()
        if command == "delta":
            rows = self.export(source, self.now, DELTA, "delta.parquet")
            expected, words = self.delta_of(rows)
        else:
            expected, words = self.rule_of(command, serial, NO_REASON), self.words(command, serial, NO_REASON)
        before = self.current().commit.number
        try:
            lands = expected()
        except Refused:
            lands = {}
        with TROUBLE.now(ends_at=ends_at):
            self.command(*words)
        if self.current().commit.number > before:
            assert lands
            self.model.overlays.update(lands)
        self.model.overlays.update(self.done(expected, *words))

    @rule(
        source=sources,
        serial=serials,
        command=st.sampled_from(["revoke", "hold", "release"]),
        accepts=st.booleans(),
    )
    def overtaken(self, source: Mapping[int, tuple[str, int]], serial: int, command: str, *, accepts: bool) -> None:
        """A run is overtaken by an urgent change."""
        rows = self.snapshot(source, 0)
        news: dict[int, Said] = {}

        def change() -> None:
            self.now += 1
            news.update(self.changed(command, serial))

        try:
            after = self.model.run(rows, accepts=accepts)
        except Refused:
            with pytest.raises(PregenError):
                self.publish(accepts=accepts)
            return
        self.publish(change, accepts=accepts)
        self.model.overtaken(after, rows, news)
        self.as_of = next(iter(rows.values())).as_of
        if accepts:
            self.freed()

    @rule(source=sources, ends_at=st.integers(0, 24), goes_on=st.booleans())
    def crash(self, source: Mapping[int, tuple[str, int]], ends_at: int, *, goes_on: bool) -> None:
        """A run, or one of its workers, loses its store at any call; then it has published all, or nothing.

        The next run of the same snapshot goes on where this one was stopped.
        """
        rows = self.snapshot(source, 0)
        try:
            after = self.model.run(rows)
        except Refused:
            after = self.model
        before = self.current().commit.number
        with contextlib.suppress(PregenError, StorageError, OSError):
            self.publish(ends_at=ends_at)
        if goes_on and self.current().commit.number == before:
            self.now += 1
            code, said = self.command("run", self.ca.config)
            assert code == (ExitCode.REFUSED if after is self.model else ExitCode.DONE), said
        if self.current().commit.number > before:
            self.model, self.as_of = after, next(iter(rows.values())).as_of

    @rule(source=sources)
    def leave_behind(self, source: Mapping[int, tuple[str, int]]) -> None:
        """A run cannot sign for the issuer of all but the anchor, whose key is not there."""
        rows = self.snapshot(source, 0)
        expected = ExitCode.LEFT_BEHIND
        try:
            after = self.model.left_behind(rows, {ANCHOR})
        except Refused:
            after, expected = self.model, ExitCode.REFUSED
        key, away = self.ca.folder / "ocsp.key", self.ca.folder / "away.key"
        key.rename(away)
        code, said = self.command("run", self.ca.config)
        away.rename(key)
        assert code == expected, said
        if code != ExitCode.REFUSED:
            self.model, self.as_of = after, next(iter(rows.values())).as_of

    @rule(keep=st.integers(1, 3), ends_at=st.none() | last_calls)
    def clean(self, keep: int, ends_at: int | None) -> None:
        """A cleaning, which may lose its store at any call; the next one goes on."""
        self.tick()
        words = ("gc", self.ca.config, "--keep", keep, "--grace", "0s")
        if ends_at is not None and self.all_crash:
            with TROUBLE.now(ends_at=ends_at):
                self.command_by_clock(*words)
        code, said = self.command_by_clock(*words)
        assert code == ExitCode.DONE, said

    @staticmethod
    def command_by_clock(*words: object) -> tuple[int, str]:
        """Call a command that goes by the machine's clock; return its exit code and what it said."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main([*map(str, words)])
        return code, out.getvalue()

    @rule(which=st.integers(0, 11), unrevoke=st.booleans(), shrink=st.booleans(), ends_at=st.none() | last_calls)
    def take_back(self, which: int, ends_at: int | None, *, unrevoke: bool, shrink: bool) -> None:
        """A rollback to any commit of which, and of all since then, it is known what they said.

        What is drawn does not depend on how many there are: a crash, which counts calls of several threads, may have
        published in one life and not in the next one that is drawn alike.
        """
        head = self.current().commit.number
        known = [number for number in self.past if all(one in self.past for one in range(number, head + 1))]
        to = known[which % len(known)]
        accepted = [
            word for name, is_on in (("unrevoke", unrevoke), ("shrink", shrink)) if is_on for word in ("--accept", name)
        ]
        words = ("rollback", self.ca.config, "--to", to, "--reason", "test", *accepted)
        if ends_at is not None and self.all_crash:
            with TROUBLE.now(ends_at=ends_at):
                code, said = self.command_by_clock(*words)
        if ends_at is None or not self.all_crash or self.current().commit.number == head:
            code, said = self.command_by_clock(*words)
        if to == head:
            assert code == ExitCode.USAGE, said
        elif code == ExitCode.REFUSED:
            assert "rollback.cleaned-up" in said
        else:
            assert self.current().commit.number > head, said
            target, self.as_of, _ = self.past[to]
            self.model = taken_back(self.model, target, self.between(to, head), unrevoke=unrevoke, shrink=shrink)
            if unrevoke:
                self.freed()

    def between(self, to: int, head: int) -> list[Model]:
        """Return what the last commit of each generation said, from before the head's back to a commit."""
        found, base = [], self.past[head][2]
        for number in range(head - 1, to, -1):
            model, _, its = self.past[number]
            if its != base:
                found.append(model)
                base = its
        return found

    def publish(
        self, change: Callable[[], object] | None = None, *, ends_at: int | None = None, accepts: bool = False
    ) -> None:
        """Publish the snapshot by a run whose store is another one's too, or goes away."""
        accept = (Acceptance("unrevoke", "test", "tests"),) if accepts else ()
        options = RunOptions(workers=1, now=datetime.fromtimestamp(self.clock, UTC), accept=accept)
        prepared = prepare(load_config(self.ca.config), options)
        with TROUBLE.now(change, ends_at):
            publish_prepared(prepared, Steps(), lambda *_: None)

    def freed(self) -> None:
        """What is not revoked now was freed by name."""
        self.final = {serial for serial, (status, _) in self.model.shown.items() if status == REVOKED}

    def current(self) -> Generation:
        current = open_reader(LocalStore(self.ca.store)).current
        assert current is not None
        return current

    @invariant()
    def a_reader_sees_what_the_dict_says(self) -> None:
        store, current = LocalStore(self.ca.store), self.current()
        issuers = (one for tables in current.tables.values() for one in tables.tables.issuers)
        issuer = next(one for one in issuers if one.label == "r1")
        entries = newest(pack_entries(store, current, one) for one in current.manifest.searched)
        shown = {
            int.from_bytes(entries.serial(at), "big"): (
                NAME_OF[RememberedStatus(int(entries.status[at]))],
                int(entries.reason[at]),
            )
            for at in range(len(entries))
        }
        assert shown == self.model.shown
        as_of, base = current.commit.as_of, current.commit.base
        self.past[current.commit.number] = Model(dict(self.model.shards), dict(self.model.overlays)), as_of, base
        oid = HASH_OIDS["sha256"]
        for serial in SERIALS:
            asked = CertID(oid, issuer.name_hashes[oid], issuer.key_hashes[oid], serial.to_bytes(2, "big"))
            answer = current.lookup(asked)
            status = shown.get(serial, ("none", 0))[0]
            assert (answer.status if answer else "none") == {HELD: REVOKED}.get(status, status)

    @invariant()
    def what_was_revoked_for_good_is_not_good(self) -> None:
        now = {serial for serial, (status, _) in self.model.shown.items() if status == REVOKED}
        assert not {serial for serial in self.final - now if serial in self.model.shown}
        self.final |= now


class TroubledLife(Life):
    """A life in which every command may lose its store at any call."""

    all_crash = True


def live(sequences: int, steps: int, kind: type[Life] = Life) -> None:
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_hundred_lives_of_a_store_are_those_of_a_dict() -> None:
    live(100, 5)


@pytest.mark.slow
def test_two_thousand_lives_of_a_store_are_those_of_a_dict() -> None:
    live(2_000, 10, TroubledLife)
