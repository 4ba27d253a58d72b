"""Urgent changes between runs: what the next snapshots know of them and what they do not, one after the other."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from storage.history import read_index
from storage.overlay_part import read_overlay_part
from storage.reader import open_reader
from storage.stores.local import LocalStore
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, UNKNOWN, Ca, Outcome, Program, instants, octets

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ca(ca: Ca, pregen: Program) -> Ca:
    """A CA under a profile that allows holds, which has published what it has issued."""
    ca.configure(validity={"profile": "lab"})
    assert run(ca, pregen, ca.now - 5 * MINUTE).code == 0
    return ca


def run(ca: Ca, pregen: Program, as_of: datetime, *words: object, **changes: object) -> Outcome:
    ca.export(as_of=as_of, **changes)  # type: ignore[arg-type]
    return pregen("run", ca.config, *words, "--json")


def by_serial(ca: Ca, pregen: Program, command: str, serial: int, *words: object) -> Outcome:
    return pregen(command, ca.config, "--issuer", "r1", "--serial", f"{serial:x}", *words)


def status(ca: Ca, pregen: Program, serial: int) -> str:
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
    return str(found.document["status"]) if found.code == 0 else "unauthorized"


def overlays(ca: Ca) -> int:
    current = open_reader(LocalStore(ca.store)).current
    assert current is not None
    return len(current.manifest.overlays)


def test_a_revocation_that_the_source_does_not_know_yet_stays_and_is_warned_of(ca: Ca, pregen: Program) -> None:
    assert by_serial(ca, pregen, "revoke", GOOD).code == 0
    for _ in range(2):
        done = run(ca, pregen, datetime.now(ca.now.tzinfo).replace(microsecond=0))
        assert done.code == 0, done.err
        assert "overlay.ahead" in done.err
        assert status(ca, pregen, GOOD) == "revoked"
        assert overlays(ca) == 1
    knows = {
        "serial": octets(GOOD, REVOKED, UNKNOWN),
        "status": pa.array([1, 1, 2], pa.uint8()),
        "revoked_at": instants(ca.now, ca.now - timedelta(hours=1), None),
        "reason": pa.array([None, 1, None], pa.int8()),
    }
    done = run(ca, pregen, datetime.now(ca.now.tzinfo).replace(microsecond=0), **knows)
    assert done.code == 0, done.err
    assert "overlay.ahead" not in done.err
    assert overlays(ca) == 0
    assert status(ca, pregen, GOOD) == "revoked"
    assert pregen("verify", ca.store).code == 0


def test_a_hold_stays_over_runs_until_its_release(ca: Ca, pregen: Program) -> None:
    assert by_serial(ca, pregen, "hold", GOOD).code == 0
    assert run(ca, pregen, datetime.now(ca.now.tzinfo).replace(microsecond=0)).code == 0
    assert status(ca, pregen, GOOD) == "revoked"
    assert by_serial(ca, pregen, "release", GOOD).code == 0
    assert status(ca, pregen, GOOD) == "good"
    assert run(ca, pregen, datetime.now(ca.now.tzinfo).replace(microsecond=0)).code == 0
    assert status(ca, pregen, GOOD) == "good"


def test_a_new_certificate_of_a_delta_is_folded_in_by_the_snapshot_that_has_it(ca: Ca, pregen: Program) -> None:
    ca.export(
        to="delta.parquet",
        serial=octets(ABSENT),
        status=pa.array([0], pa.uint8()),
        revoked_at=instants(None),
        reason=pa.array([None], pa.int8()),
    )
    assert pregen("delta", ca.config, ca.folder / "delta.parquet").code == 0
    has = {
        "serial": octets(GOOD, REVOKED, UNKNOWN, ABSENT),
        "status": pa.array([0, 1, 2, 0], pa.uint8()),
        "revoked_at": instants(None, ca.now - timedelta(hours=1), None, None),
        "reason": pa.array([None, 1, None, None], pa.int8()),
    }
    done = run(ca, pregen, datetime.now(ca.now.tzinfo).replace(microsecond=0), **has)

    assert done.code == 0, done.err
    assert (status(ca, pregen, ABSENT), overlays(ca)) == ("good", 0)


def test_a_full_run_and_a_run_on_an_older_snapshot_take_nothing_back(ca: Ca, pregen: Program) -> None:
    assert by_serial(ca, pregen, "revoke", GOOD, "--reason", "keyCompromise").code == 0
    for words in (("--full",), ()):
        done = run(ca, pregen, ca.now - 4 * MINUTE, *words)
        assert done.code == 0, done.err
        assert status(ca, pregen, GOOD) == "revoked"
    again = by_serial(ca, pregen, "revoke", GOOD, "--json")
    assert (again.code, again.document["unchanged"]) == (0, 1)
    assert by_serial(ca, pregen, "hold", GOOD).code == 3


def test_a_release_by_a_slow_clock_counts_as_later_than_the_hold_that_it_ends(ca: Ca, pregen: Program) -> None:
    """The snapshot is of a machine whose clock is a minute ahead; it is read once more after the release."""
    on_hold = {
        "serial": octets(GOOD),
        "status": pa.array([1], pa.uint8()),
        "revoked_at": instants(ca.now - 10 * MINUTE),
        "reason": pa.array([6], pa.int8()),
    }
    ahead = datetime.now(ca.now.tzinfo).replace(microsecond=0) + MINUTE
    lacks = ("--accept", "shrink", "--accept", "unrevoke", "--reason", "a test")
    done = run(ca, pregen, ahead, "--now", ahead.isoformat(), *lacks, **on_hold)
    assert done.code == 0, done.err
    assert status(ca, pregen, GOOD) == "revoked"
    assert by_serial(ca, pregen, "release", GOOD).code == 0
    current = open_reader(LocalStore(ca.store)).current
    assert current is not None
    assert current.manifest.history is not None
    index = read_index(LocalStore(ca.store), current.manifest.history)
    (part,) = index.overlays
    as_of = memoryview(read_overlay_part(LocalStore(ca.store), part).as_of).cast("Q")[0]
    assert as_of >= int(ahead.timestamp())
