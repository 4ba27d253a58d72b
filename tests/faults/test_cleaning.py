"""Cleaning in processes of its own: killed at any time, and beside runs and other cleanings."""

import os
import signal
import threading
import time
from datetime import timedelta

import pytest

from storage.commits import find_head, read_commit
from storage.stores import LocalStore
from tests.faults.processes import WITHIN_S, RunningProgram
from tests.faults.zygote import Zygote
from tests.pregen.cli.ca import Ca, Program
from tests.pregen.upkeep.stores import assert_whole, names
from tests.s3 import S3Server
from tests.troubled_s3 import Request, TroubledS3

KEEP_ONE = ("--keep", "1", "--grace", "0")


def publish(ca: Ca, pregen: Program, count: int) -> None:
    for _ in range(count):
        ca.export(as_of=ca.now + timedelta(seconds=len(ca.published())))
        outcome = pregen("run", ca.config, "--full")
        assert outcome.code == 0, outcome.err


def assert_sound(ca: Ca, pregen: Program) -> None:
    """What is published is whole, and signed."""
    verified = pregen("verify", ca.store, "--all")
    assert verified.code == 0, verified.err
    store = LocalStore(ca.store)
    head = find_head(store)
    assert head is not None
    assert_whole(store, head.commit.number)
    assert all(read_commit(store, number) for number in range(1, head.commit.number + 1))


@pytest.mark.parametrize("kills", [6, pytest.param(40, marks=pytest.mark.slow)])
def test_a_cleaning_that_is_killed_at_any_time_harms_nothing_and_the_next_one_finishes_it(
    ca: Ca, pregen: Program, kills: int
) -> None:
    publish(ca, pregen, 3)
    words = ("gc", ca.store, *KEEP_ONE)
    with Zygote(ca.folder) as zygote:
        for _ in zygote.kill(*words, times=kills, seed=14, until=1.5):
            assert_sound(ca, pregen)
            publish(ca, pregen, 1)
    done = pregen("gc", ca.store, *KEEP_ONE)

    assert done.code == 0, done.err
    assert_sound(ca, pregen)
    store = LocalStore(ca.store)
    head = find_head(store)
    assert head is not None
    kept = {name for name in names(store) if name.startswith("packs/")}
    assert len(kept) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_after_its_commit_it_does_not_say_that_nothing_was_published(
    ca: Ca, pregen: Program, s3_environment: S3Server, number: signal.Signals, code: int
) -> None:
    deletes, goes_on = threading.Event(), threading.Event()

    def wait_with_deletions(request: Request) -> None:
        if request.method == "POST" and "delete" in request.query:
            deletes.set()
            goes_on.wait(WITHIN_S)

    with TroubledS3(s3_environment.endpoint).running() as proxy:
        address = f"s3://{s3_environment.new_bucket()}/ocsp"
        ca.configure(publish={"store": address, "s3": {"endpoint": proxy.endpoint}})
        publish(ca, pregen, 2)
        time.sleep(
            1.1
        )  # the server tells whole seconds, and nothing goes that was written in the one in which it is asked
        proxy.plan = wait_with_deletions
        with RunningProgram(ca.folder, "gc", ca.config, *KEEP_ONE, "--json") as running:
            assert deletes.wait(WITHIN_S)
            os.kill(running.pid, number)
            goes_on.set()
            stopped = running.end()
        done = pregen("gc", ca.config, *KEEP_ONE, "--json")

    assert stopped.code == code
    assert "commit 3 has announced what goes, and the next cleaning goes on with it" in stopped.err
    assert "nothing was published" not in stopped.err
    assert (stopped.document["commit"], stopped.error["code"]) == (3, stopped.err.partition("error: ")[2].split(";")[0])
    assert done.code == 0, done.err


def test_cleanings_and_runs_at_once_leave_a_whole_generation(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, 4)
    ca.export(as_of=ca.now + timedelta(minutes=2))

    with (
        RunningProgram(ca.folder, "run", ca.config, "--full") as run,
        RunningProgram(ca.folder, "gc", ca.store, *KEEP_ONE) as one,
        RunningProgram(ca.folder, "gc", ca.store, *KEEP_ONE) as two,
    ):
        ended = [run.end(), one.end(), two.end()]

    assert [outcome.code for outcome in ended[1:]] == [0, 0], ended
    assert ended[0].code in {0, 7}, ended[0]
    assert_sound(ca, pregen)
