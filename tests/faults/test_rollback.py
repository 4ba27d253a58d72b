"""Rollbacks in processes of their own, killed at any time: nobody is un-revoked, and what is published is whole."""

from datetime import timedelta

import pyarrow as pa
import pytest

from storage.commits import find_head
from storage.stores import LocalStore
from tests.faults.zygote import Zygote
from tests.pregen.cli.ca import Ca, Program, instants, octets

SERIALS = tuple(range(1 << 20, (1 << 20) + 300))


def publish(ca: Ca, pregen: Program, number: int, revoked: int) -> None:
    """Publish a snapshot whose first certificates are revoked."""
    at = ca.now - timedelta(hours=1)
    ca.export(
        as_of=ca.now + timedelta(seconds=number),
        serial=octets(*SERIALS),
        status=pa.array([int(place < revoked) for place in range(len(SERIALS))], pa.uint8()),
        revoked_at=instants(*[at if place < revoked else None for place in range(len(SERIALS))]),
        reason=None,
    )
    words = ("--accept", "mass-revocation", "--reason", "test") if number else ()
    outcome = pregen("run", ca.config, "--full", *words)
    assert outcome.code == 0, outcome.err


def assert_whole_and_nobody_unrevoked(ca: Ca, pregen: Program) -> None:
    """What is published is whole, and says of everybody what it said before."""
    head = find_head(LocalStore(ca.store))
    assert head is not None
    assert head.commit.kind in {"run", "rollback"}
    verified = pregen("verify", ca.store, "--sample", "20")
    assert verified.code == 0, verified.err
    for serial in (SERIALS[0], SERIALS[39], SERIALS[40]):
        found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
        assert found.document["status"] == ("good" if serial == SERIALS[40] else "revoked")


@pytest.mark.parametrize("kills", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_a_rollback_that_is_killed_at_any_time_is_published_as_a_whole_or_not_at_all(
    ca: Ca, pregen: Program, kills: int
) -> None:
    publish(ca, pregen, 0, 0)
    publish(ca, pregen, 1, 40)
    words = ("rollback", ca.config, "--to", "1", "--reason", "test")
    with Zygote(ca.folder) as zygote:
        for _ in zygote.kill(*words, times=kills, seed=41, until=1.2):
            assert_whole_and_nobody_unrevoked(ca, pregen)
    assert pregen(*words).code == 0
    assert pregen("gc", ca.store, "--keep", "1", "--grace", "0").code == 0
    assert pregen("verify", ca.store, "--all").code == 0
