"""`pregen rollback` to a generation that answers under a name or key of a CA which was dropped since."""

from collections.abc import Mapping
from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pregen.cli.ca import Ca, Outcome, Program, instants, octets
from tests.pregen.cli.test_names_and_keys import (  # noqa: F401 - fixtures
    codes,
    configure,
    rolled,
    section,
    status,
    two,
)

A, B, C = 5, 6, 7
WRONG = ("--reason", "the snapshot was wrong")
ACCEPTING = ("--accept", "unrevoke", "--reason", "test")
STATUSES = {"good": None, "revoked": 4, "hold": 6}


def publish(ca: Ca, pregen: Program, rows: Mapping[int, str], *words: object) -> Outcome:
    """Publish a snapshot of certificates of r1, a second later than the one before."""
    number = sum(name.startswith("commits/") for name in ca.stored())
    is_good = [said == "good" for said in rows.values()]
    ca.export(
        as_of=ca.now + timedelta(seconds=number),
        serial=octets(*rows),
        issuer=pa.array(["r1"] * len(rows)),
        status=pa.array([int(not good) for good in is_good], pa.uint8()),
        revoked_at=instants(*[None if good else ca.now - timedelta(hours=1) for good in is_good]),
        reason=pa.array([STATUSES[said] for said in rows.values()], pa.int8()),
        not_after=instants(*[ca.now + timedelta(days=90)] * len(rows)),
    )
    ended = pregen("run", ca.config, *words)
    assert ended.code == 0, ended.err
    return ended


def with_both(ca: Ca) -> None:
    ca.configure(section("new", "r1-new", also="r1"), issuer=section("old", "r1"), validity={"profile": "lab"})


def with_new(ca: Ca) -> None:
    ca.configure(issuer=section("new", ["r1", "r1-new"]), validity={"profile": "lab"})


@pytest.fixture
def dropped(rolled: Ca, pregen: Program) -> Ca:  # noqa: F811
    """A CA whose commit 1 answers under two keys, and commit 2 under the new one alone."""
    with_both(rolled)
    publish(rolled, pregen, {A: "good", B: "good", C: "good"})
    with_new(rolled)
    publish(rolled, pregen, {A: "good", B: "good", C: "good"}, "--drop-issuer", "r1")
    assert under_both(rolled, pregen, A) == [None, "good"]
    return rolled


def under_both(ca: Ca, pregen: Program, serial: int) -> list[object]:
    return [status(ca, pregen, f"{stem}.pem", serial) for stem in ("old", "new")]


def back(ca: Ca, pregen: Program, *words: object) -> Outcome:
    return pregen("rollback", ca.config, "--to", 1, *WRONG, *words, "--json")


def change(ca: Ca, pregen: Program, command: str, serial: int) -> None:
    ended = pregen(command, ca.config, "--issuer", "r1", "--serial", f"{serial:x}")
    assert ended.code == 0, ended.err


def refused(ca: Ca, pregen: Program, *words: object) -> str:
    """Return what is said of a rollback that is refused, and of its dry run."""
    before = ca.published()
    for more in (("--dry-run",), ()):
        ended = back(ca, pregen, *words, *more)
        assert (ended.code, codes(ended)) == (3, {"rollback.further-key"}), ended.out
    assert ca.published() == before
    return ended.out


@pytest.mark.parametrize("said", ["revoked", "hold"])
def test_what_a_run_has_revoked_under_one_key_is_not_good_again_under_one_that_was_dropped(
    dropped: Ca, pregen: Program, said: str
) -> None:
    publish(dropped, pregen, {A: said, B: "good", C: "good"})

    told = refused(dropped, pregen)
    assert "serial 5 under r1" in told
    assert "--accept unrevoke" in told

    done = back(dropped, pregen, "--accept", "unrevoke")
    assert done.code == 0, done.err
    assert done.document["left"] == {"unrevoke": 2, "shrink": 0}
    assert under_both(dropped, pregen, A) == ["good", "good"]
    newest = pregen("history", dropped.store, "--json").document["commits"][0]  # type: ignore[index]
    assert [one["gate"] for one in newest["acceptances"]] == ["unrevoke"]


@pytest.mark.parametrize("command", ["revoke", "hold"])
def test_what_a_command_has_revoked_and_no_run_has_confirmed_is_left_to_nobody(
    dropped: Ca, pregen: Program, command: str
) -> None:
    change(dropped, pregen, command, B)
    refused(dropped, pregen, "--accept", "unrevoke")
    if command == "hold":
        change(dropped, pregen, "release", B)
        assert back(dropped, pregen).code == 0


def test_with_the_dropped_key_published_again_its_answers_are_copied(dropped: Ca, pregen: Program) -> None:
    change(dropped, pregen, "revoke", A)
    refused(dropped, pregen)
    with_both(dropped)
    publish(dropped, pregen, {A: "good", B: "good", C: "good"})  # the source has not heard of it yet

    done = back(dropped, pregen)

    assert done.code == 0, done.out
    assert [under_both(dropped, pregen, one) for one in (A, B, C)] == [["revoked"] * 2, ["good"] * 2, ["good"] * 2]
    assert pregen("verify", dropped.store, "--all").code == 0


def test_what_was_revoked_under_both_before_one_was_dropped_is_copied(rolled: Ca, pregen: Program) -> None:  # noqa: F811
    with_both(rolled)
    publish(rolled, pregen, {A: "good", B: "good", C: "good"})
    publish(rolled, pregen, {A: "revoked", B: "good", C: "good"})
    with_new(rolled)
    publish(rolled, pregen, {A: "revoked", B: "good", C: "good"}, "--drop-issuer", "r1")

    done = back(rolled, pregen)

    assert done.code == 0, done.out
    assert [under_both(rolled, pregen, one) for one in (A, B)] == [["revoked"] * 2, ["good"] * 2]


def test_what_has_vanished_since_under_the_other_key_counts_as_it_was_said_last(dropped: Ca, pregen: Program) -> None:
    publish(dropped, pregen, {A: "revoked", B: "revoked", C: "good"})
    publish(dropped, pregen, {A: "good", B: "revoked", C: "good"}, *ACCEPTING)
    publish(dropped, pregen, {C: "good"}, "--accept", "shrink", "--accept", "mass-revocation", *ACCEPTING)
    told = refused(dropped, pregen)
    assert "serial 6" in told
    assert "serial 5" not in told


def test_what_the_dropped_key_does_not_answer_good_refuses_nothing(rolled: Ca, pregen: Program) -> None:  # noqa: F811
    with_both(rolled)
    publish(rolled, pregen, {A: "good", B: "revoked"})
    with_new(rolled)
    publish(rolled, pregen, {A: "good", B: "revoked", C: "revoked"}, "--drop-issuer", "r1")

    done = back(rolled, pregen)

    assert done.code == 0, done.out
    assert [under_both(rolled, pregen, one) for one in (A, B, C)] == [
        ["good", "good"],
        ["revoked", "revoked"],
        [None, "revoked"],
    ]


def test_another_encoding_of_the_name_that_was_dropped_is_such_a_one(two: Ca, pregen: Program) -> None:  # noqa: F811
    publish(two, pregen, {A: "good", B: "good"})
    configure(two, certificate="printable.pem", responder_certificate="ocsp-printable.pem")
    publish(two, pregen, {A: "good", B: "good"}, "--drop-issuer", "r1")
    assert [status(two, pregen, f"{one}.pem", A) for one in ("printable", "utf8")] == ["good", None]
    change(two, pregen, "revoke", A)

    refused(two, pregen)
