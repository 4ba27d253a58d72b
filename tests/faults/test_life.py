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
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pregen.__main__ import main
from pregen.config import load_config
from pregen.errors import PregenError
from pregen.exit_codes import ExitCode
from pregen.gates import Acceptance
from pregen.gates.comparison import RememberedStatus
from pregen.generation.preparation import RunOptions, prepare
from pregen.generation.publication import publish_prepared
from pregen.generation.work.steps import Steps
from pregen.overlays.entries import newest
from pregen.overlays.records import pack_entries
from storage.certid import HASH_OIDS, CertID
from storage.errors import StorageError
from storage.reader import Generation, open_reader
from storage.stores import Store
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
STEP_S = 60
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
lags = st.sampled_from([0, STEP_S // 2, 3 * STEP_S])


class OtherStore(WrappedStore):
    """Lets somebody else publish before the first commit, or goes away at a certain call."""

    def __init__(self, inner: Store, change: Callable[[], object] | None = None, ends_at: int | None = None) -> None:
        super().__init__(inner)
        self.change, self.left = change, ends_at

    def _call(self, operation: str, name: str, /) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise ConnectionError(f"{operation} {name}: the store has gone away")

    def put_if_absent(self, name: str, data: bytes) -> None:
        self._call("put_if_absent", name)
        change, self.change = self.change, None
        if change is not None and name.startswith("commits/"):
            change()
        self.inner.put_if_absent(name, data)


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
    rows = life.snapshot(dict.fromkeys(SERIALS[:-1], (GOOD, NO_REASON)), 0)
    code, said = life.command("run", life.ca.config)
    assert code == ExitCode.DONE, said
    kept = life.ca.folder / "first"
    shutil.move(life.ca.store, kept)
    return kept, life.model.run(rows), life.now


class Life(RuleBasedStateMachine):
    """One store, its dict, and what the CA's database says."""

    def __init__(self) -> None:
        super().__init__()
        self.ca = authority()
        first, model, self.now = first_generation()
        shutil.rmtree(self.ca.store, ignore_errors=True)
        shutil.copytree(first, self.ca.store)
        self.model, self.as_of = Model(dict(model.shards)), self.now
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
            code = main([*map(str, words), "--now", datetime.fromtimestamp(self.now, UTC).isoformat()])
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

    def tick(self) -> None:
        self.now += STEP_S

    @rule(source=sources, lag=lags, accepts=st.booleans(), full=st.booleans())
    def run(self, source: Mapping[int, tuple[str, int]], lag: int, *, accepts: bool, full: bool) -> None:
        rows = self.snapshot(source, lag)
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

    def snapshot(self, source: Mapping[int, tuple[str, int]], lag: int) -> Rows:
        """Export a snapshot that is not older than the one before."""
        self.tick()
        return self.export(
            {**source, ANCHOR: (GOOD, NO_REASON)}, max(self.now - lag, self.as_of), RUN, "snapshot.parquet"
        )

    @rule(source=sources.filter(bool), lag=lags, accepts=st.booleans())
    def delta(self, source: Mapping[int, tuple[str, int]], lag: int, *, accepts: bool) -> None:
        self.tick()
        rows = self.export(source, self.now - lag, DELTA, "delta.parquet")
        words = ACCEPTED if accepts else ()
        lands = self.done(
            lambda: self.model.delta(rows, accepts=accepts),
            "delta",
            self.ca.config,
            self.ca.folder / "delta.parquet",
            *words,
        )
        self.model.overlays.update(lands)
        if accepts:
            self.freed()

    @rule(serial=serials, reason=st.sampled_from([NO_REASON, SUPERSEDED, KEY_COMPROMISE]))
    def revoke(self, serial: int, reason: int) -> None:
        self.tick()
        self.model.overlays.update(self.changed("revoke", serial, reason))

    @rule(serial=serials, command=st.sampled_from(["hold", "release"]))
    def hold(self, serial: int, command: str) -> None:
        self.tick()
        self.model.overlays.update(self.changed(command, serial))

    def changed(self, command: str, serial: int, reason: int = NO_REASON) -> Rows:
        """Revoke, hold or release a certificate; return what lands."""
        rules: dict[str, Callable[[], Rows]] = {
            "revoke": lambda: self.model.revoke(serial, reason, self.now),
            "hold": lambda: self.model.hold(serial, self.now),
            "release": lambda: self.model.release(serial, self.now),
        }
        named = ("--issuer", "r1", "--serial", f"{serial:x}")
        return self.done(rules[command], command, self.ca.config, *named, *WORDS[reason])

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

    @rule(keep=st.integers(1, 3))
    def clean(self, keep: int) -> None:
        self.tick()
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(["gc", str(self.ca.config), "--keep", str(keep), "--grace", "0s"])
        assert code == ExitCode.DONE, out.getvalue()

    @rule(which=st.integers(0, 11))
    def take_back(self, which: int) -> None:
        """A rollback to any commit of which, and of all since then, it is known what they said.

        What is drawn does not depend on how many there are: a crash, which counts calls of several threads, may have
        published in one life and not in the next one that is drawn alike.
        """
        head = self.current().commit.number
        known = [number for number in self.past if all(one in self.past for one in range(number, head + 1))]
        to = known[which % len(known)]
        out = io.StringIO()
        words = ["rollback", str(self.ca.config), "--to", str(to), "--reason", "test"]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(words)
        if to == head:
            assert code == ExitCode.USAGE, out.getvalue()
        elif code == ExitCode.REFUSED:
            assert "rollback.cleaned-up" in out.getvalue()
        else:
            assert code == ExitCode.DONE, out.getvalue()
            target, self.as_of, _ = self.past[to]
            self.model = taken_back(self.model, target, self.between(to, head))

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
        options = RunOptions(workers=1, now=datetime.fromtimestamp(self.now, UTC), accept=accept)
        prepared = prepare(load_config(self.ca.config), options)
        store = OtherStore(prepared.store, change, ends_at)
        at_hand = replace(prepared, store=store, open_store=lambda: store)  # workers are this process, and have it too
        publish_prepared(at_hand, Steps(), lambda *_: None)

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


def live(sequences: int, steps: int) -> None:
    run_state_machine_as_test(
        Life,
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
    live(2_000, 10)
