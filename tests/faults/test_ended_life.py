"""The law where certificates end and come back: whatever a source says of notAfter, nobody who was revoked is good.

No dict says here what becomes of a row, which gates may refuse; only that what a reader was once told to be revoked for
good, it is never told to be good, but where that was accepted by name.
"""

import atexit
import contextlib
import functools
import io
import shutil
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pregen.__main__ import main
from pregen.exit_codes import ExitCode
from pregen.gates.comparison import RememberedStatus
from pregen.overlays.entries import newest
from pregen.overlays.records import pack_entries
from storage.reader import open_reader
from storage.stores.local import LocalStore
from tests.pregen.cli.ca import Ca, instants, octets
from tests.pregen.cli.test_holds import certificate

ANCHOR = 0x5000  # is always there and good, and ends late
SERIALS = (0x1001, 0x1002)
LATE, MANY_DAYS = 300, 2
ACCEPTED = ("--accept", "unrevoke", "--reason", "test")
Source: TypeAlias = Mapping[int, tuple[str, int]]
STATUS_OF = {"good": 0, "revoked": 1, "hold": 1, "unknown": 2}

serials = st.sampled_from(SERIALS)
statuses = st.sampled_from(["good", "good", "good", "revoked", "hold", "unknown"])
# A row's end, in days from the day on which it is told: some have ended already, and many soon will have.
told_rows = st.tuples(statuses, st.sampled_from([-1, 1, LATE, LATE]))
changes = st.dictionaries(serials, told_rows, min_size=1, max_size=len(SERIALS))
acceptances = st.sampled_from([False, False, False, True])
nothing: st.SearchStrategy[dict[int, tuple[str, int]]] = st.just({})
sources = nothing | changes


@functools.cache
def authority() -> Ca:
    """Return the CA of all sequences, which has issued what commands name."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="ended-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ca = Ca(folder)
    for serial in SERIALS:
        certificate(ca, serial)
    return ca


class EndedLife(RuleBasedStateMachine):
    """One store, and what its readers were told."""

    def __init__(self) -> None:
        super().__init__()
        self.ca = authority()
        shutil.rmtree(self.ca.store, ignore_errors=True)
        self.day = self.steps = 0
        self.final: set[int] = set()
        revoked, good = SERIALS
        self.run({revoked: ("revoked", 1), good: ("good", 1)}, keep="0d", accepts=False)

    def teardown(self) -> None:
        shutil.rmtree(self.ca.store, ignore_errors=True)
        for journal in self.ca.spool.iterdir():
            journal.unlink()

    def command(self, name: str, *words: object, is_dated: bool = True) -> int:
        out = io.StringIO()
        now = self.ca.now + timedelta(days=self.day, seconds=self.steps)
        dated = ("--now", now.isoformat()) if is_dated else ()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main([name, str(self.ca.config), *map(str, words), *dated])
        assert code in {ExitCode.DONE, ExitCode.REFUSED}, out.getvalue()
        return code

    def export(self, source: Source, to: str, keep: str = "0d") -> None:
        self.steps += 1
        now = self.ca.now + timedelta(days=self.day, seconds=self.steps)
        any_size = {"share": 1.0, "count": 1_000}
        self.ca.configure(
            snapshot={"keep_expired": keep},
            validity={"profile": "lab", "lifetime": "30d"},
            gates={"shrink": any_size, "growth": any_size, "unrevoke": 20},
        )
        reasons = {"revoked": 4, "hold": 6}
        said = [status for status, _ in source.values()]
        self.ca.export(
            to=to,
            as_of=now,
            serial=octets(*source),
            status=pa.array([STATUS_OF[one] for one in said], pa.uint8()),
            revoked_at=instants(*(self.ca.now - timedelta(days=1) if one in reasons else None for one in said)),
            reason=pa.array([reasons.get(one) for one in said], pa.int8()),
            not_after=instants(*(now + timedelta(days=days) for _, days in source.values())),
        )

    @rule(source=sources, keep=st.sampled_from(["0d", "0d", "40d"]), accepts=acceptances)
    def run(self, source: Source, keep: str, *, accepts: bool) -> None:
        self.export({**source, ANCHOR: ("good", LATE)}, "snapshot.parquet", keep)
        self.accepting("run", accepts=accepts)

    @rule(source=changes, accepts=acceptances)
    def delta(self, source: Source, *, accepts: bool) -> None:
        self.export(source, "changes.parquet")
        self.accepting("delta", self.ca.folder / "changes.parquet", accepts=accepts)

    @rule(serial=serials, name=st.sampled_from(["revoke", "revoke", "hold", "release"]))
    def change(self, serial: int, name: str) -> None:
        self.steps += 1
        self.command(name, "--cert", self.ca.folder / f"{serial:x}.pem")

    @rule(days=st.integers(1, MANY_DAYS))
    def time_passes(self, days: int) -> None:
        """Certificates end, and the next run leaves them out."""
        self.day += days
        self.run({}, keep="0d", accepts=False)

    @rule(back=st.integers(1, 4))
    def take_back(self, back: int) -> None:
        head = self.head()
        if head > back:
            self.command("rollback", "--to", head - back, "--reason", "test", is_dated=False)

    @rule(keep=st.integers(1, 3))
    def clean(self, keep: int) -> None:
        assert self.command("gc", "--keep", keep, "--grace", "0s", is_dated=False) == ExitCode.DONE

    def head(self) -> int:
        current = open_reader(LocalStore(self.ca.store)).current
        return current.commit.number if current else 0

    def told(self) -> dict[int, RememberedStatus]:
        """Return what readers are told of each certificate that has an answer."""
        store = LocalStore(self.ca.store)
        current = open_reader(store).current
        assert current is not None
        entries = newest(pack_entries(store, current, one) for one in current.manifest.searched)
        return {
            int.from_bytes(entries.serial(at), "big"): RememberedStatus(int(entries.status[at]))
            for at in range(len(entries))
        }

    def accepting(self, name: str, *words: object, accepts: bool) -> None:
        """Call a command that may accept by name that revocations are taken back, or lost."""
        had = self.told().keys() if accepts and self.head() else set[int]()
        code = self.command(name, *words, *(ACCEPTED if accepts else ()))
        if accepts and code == ExitCode.DONE:
            told = self.told()
            self.final -= {serial for serial in had | told.keys() if told.get(serial) != RememberedStatus.REVOKED}

    @invariant()
    def what_was_revoked_for_good_is_not_good(self) -> None:
        told = self.told()
        wrong = [
            serial for serial in self.final if told.get(serial, RememberedStatus.REVOKED) != RememberedStatus.REVOKED
        ]
        assert not wrong
        self.final |= {serial for serial, status in told.items() if status == RememberedStatus.REVOKED}


def live(sequences: int, steps: int) -> None:
    run_state_machine_as_test(
        EndedLife,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_ends_and_comes_back_the_law_holds() -> None:
    live(8, 8)


@pytest.mark.slow
def test_in_a_thousand_lives_the_law_holds() -> None:
    live(1_000, 14)
