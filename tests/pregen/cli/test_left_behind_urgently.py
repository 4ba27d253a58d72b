"""Urgent changes where one issuer cannot sign: they land for all others, and what could not be signed is named."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.pki import DAY, make_issuer, make_responder, write_key
from tests.pregen.cli.ca import Ca, Outcome, Program, Value
from tests.pregen.cli.test_left_behind import HOUR, R1, R2, found, left, rows
from tests.pregen.cli.two import SECOND, Row, codes, export, second_issuer


@pytest.fixture
def two(ca: Ca, pregen: Program) -> Ca:
    """A CA of two issuers whose answers are published; the key of the second one is lost since."""
    second_issuer(ca)
    export(ca, rows(ca), as_of=ca.now - 2 * HOUR)
    assert pregen("run", ca.config).code == 0
    (ca.folder / "ocsp2.key").rename(ca.folder / "lost.key")
    return ca


def leave_behind(ca: Ca, **more: Value) -> None:
    ca.configure({**SECOND, "on_trouble": "leave-behind", **more})


def delta(ca: Ca, pregen: Program, changed: Sequence[Row], *words: object) -> Outcome:
    export(ca, changed)
    return pregen("delta", ca.config, ca.snapshot.rename(ca.folder / "delta.parquet"), "--json", *words)


def revoked(ca: Ca, *serials: int) -> list[Row]:
    return [Row(serial, "r1" if serial < R2 else "r2", ca.now - HOUR, 4) for serial in serials]


def says(ca: Ca, pregen: Program, *serials: int) -> list[str]:
    pems = {False: ca.pem, True: ca.folder / "other.pem"}
    return [found(pregen, ca, pems[serial >= R2], serial) for serial in serials]


def test_a_delta_lands_for_the_others_and_names_what_could_not_be_signed(two: Ca, pregen: Program) -> None:
    leave_behind(two)
    changed = [*revoked(two, R1 + 1, R2 + 1, R2 + 2), Row(R2 + 50, "r2"), Row(R2 + 3, "r2")]

    ended = delta(two, pregen, changed)

    assert ended.code == 8, ended.err
    assert [(one["name"], one["left_out"]) for one in left(ended)] == [("r2", 3)]
    counts = {name: ended.document[name] for name in ("published", "certificates", "changed", "unchanged", "left_out")}
    assert counts == {"published": True, "certificates": 5, "changed": 1, "unchanged": 1, "left_out": 3}
    assert "warning issuer.left-behind: " in ended.err
    assert "warning issuer.left-out: " in ended.err
    assert "2 of them would revoke" in ended.err
    assert f"serial {R2 + 1:x} of r2" in ended.err
    assert says(two, pregen, R1 + 1, R2 + 1, R2 + 3, R2 + 50) == ["revoked", "good", "good", "nothing"]
    assert [(one["name"], one["left_out"]) for one in left(pregen("inspect", two.store, "--json"))] == [("r2", 3)]
    status = pregen("status", two.store)
    assert status.code == 2
    assert "r2 was left behind, because it cannot sign: " in status.out
    assert pregen("verify", two.store, "--all").code == 0

    (two.folder / "lost.key").rename(two.folder / "ocsp2.key")
    again = delta(two, pregen, changed)
    assert (again.code, again.document["changed"], left(again)) == (0, 3, [])
    assert says(two, pregen, R1 + 1, R2 + 1, R2 + 2, R2 + 50) == ["revoked", "revoked", "revoked", "good"]
    export(two, [*rows(two, Row(R2 + 50, "r2"), revoked=[R1 + 1, R2 + 1, R2 + 2])])
    assert pregen("run", two.config).code == 0
    assert "left behind" not in pregen("status", two.store).out


def test_a_run_after_it_knows_since_when_the_issuer_is_left_behind(two: Ca, pregen: Program) -> None:
    leave_behind(two)
    assert delta(two, pregen, revoked(two, R1 + 1, R2 + 1)).code == 8
    export(two, rows(two, revoked=[R1 + 1, R2 + 1]))

    ended = pregen("run", two.config, "--json")

    assert ended.code == 8, ended.err
    assert [(one["left_out"], one["as_of"]) for one in left(ended)] == [(1, f"{two.now - 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}")]
    assert says(two, pregen, R1 + 1, R2 + 1) == ["revoked", "nothing"]


@pytest.mark.parametrize("on_trouble", ["refuse", "leave-behind"])
def test_an_issuer_that_a_delta_does_not_change_stops_nothing(two: Ca, pregen: Program, on_trouble: str) -> None:
    two.configure({**SECOND, "on_trouble": on_trouble})

    ended = delta(two, pregen, [*revoked(two, R1 + 1), Row(R2 + 3, "r2")])

    assert (ended.code, ended.document["changed"], left(ended)) == (0, 1, []), ended.err
    assert "warning issuer.left-behind: " in ended.err
    assert says(two, pregen, R1 + 1) == ["revoked"]
    assert pregen("status", two.store).code < 2


def test_by_default_a_delta_of_an_issuer_that_cannot_sign_changes_nothing(two: Ca, pregen: Program) -> None:
    before = two.published()

    ended = delta(two, pregen, revoked(two, R1 + 1, R2 + 1))

    assert (ended.code, codes(ended)) == (2, ["key.unreadable"])
    assert f"serial {R2 + 1:x} of r2" in ended.err
    assert "ocsp2.key: the key cannot be read" in ended.err
    assert two.published() == before
    two.assert_clean()


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_where_nothing_else_would_change_it_is_refused(two: Ca, pregen: Program, words: tuple[str, ...]) -> None:
    leave_behind(two)
    before = two.published()

    ended = delta(two, pregen, [*revoked(two, R2 + 1), Row(R1 + 2)], *words)

    assert (ended.code, codes(ended)) == (2, ["key.unreadable"])
    assert two.published() == before


def test_a_responder_that_ends_soon_stops_the_changes_of_its_own_issuer_alone(two: Ca, pregen: Program) -> None:
    (two.folder / "lost.key").rename(two.folder / "ocsp2.key")
    two.profile = "lab"
    other = make_issuer("Another CA", not_before=two.now - 400 * DAY, not_after=two.now + 365 * DAY)
    other.write(two.folder, "other")
    make_responder(other, not_before=two.now - DAY, not_after=two.now + 6 * HOUR).write(two.folder, "ocsp2")
    two.configure({**SECOND, "empty": True}, gates={"issuer_missing": 9})
    export(two, [row for row in rows(two) if row.serial < R2])
    assert pregen("run", two.config, "--drop-issuer", "r2").code == 0

    assert delta(two, pregen, revoked(two, R1 + 1)).code == 0
    refused = delta(two, pregen, [*revoked(two, R1 + 2), Row(R2 + 1, "r2")])
    assert (refused.code, codes(refused)) == (3, ["window.before-next-run"])
    assert says(two, pregen, R1 + 1, R1 + 2) == ["revoked", "good"]


def test_a_responder_that_has_ended_stops_no_other_issuer(two: Ca, pregen: Program) -> None:
    (two.folder / "lost.key").rename(two.folder / "ocsp2.key")
    make_responder(
        make_issuer("Another CA", key=_key(two.folder / "other.key"), not_before=two.now - 400 * DAY),
        not_before=two.now - 3 * DAY,
        not_after=two.now - timedelta(minutes=1),
    ).write(two.folder, "ocsp2")

    assert delta(two, pregen, revoked(two, R1 + 1)).code == 0
    refused = delta(two, pregen, revoked(two, R1 + 2, R2 + 1))
    assert (refused.code, codes(refused)) == (2, ["responder.expired"])
    leave_behind(two)
    assert delta(two, pregen, revoked(two, R1 + 2, R2 + 1)).code == 8


@pytest.mark.parametrize("command", ["revoke", "hold"])
def test_a_command_changes_what_can_be_signed_and_names_the_rest(ca: Ca, pregen: Program, command: str) -> None:
    ca.profile = "lab"
    second_issuer(ca)
    leave_behind(ca)
    export(ca, rows(ca), as_of=ca.now - 2 * HOUR)
    assert pregen("run", ca.config).code == 0
    (ca.folder / "ocsp2.key").rename(ca.folder / "lost.key")
    words = [
        word
        for name, serial in (("r1", R1 + 1), ("r2", R2 + 1))
        for word in ("--issuer", name, "--serial", f"{serial:x}")
    ]

    ended = pregen(command, ca.config, *words, "--json")

    assert ended.code == 8, ended.err
    assert [(one["name"], one["left_out"]) for one in left(ended)] == [("r2", 1)]
    assert f"serial {R2 + 1:x} of r2" in ended.err
    assert says(ca, pregen, R1 + 1, R2 + 1) == ["revoked", "good"]
    if command == "hold":
        released = pregen("release", ca.config, *words, "--json")
        assert (released.code, left(released)) == (0, []), "what is not on hold needs no release"
        assert says(ca, pregen, R1 + 1, R2 + 1) == ["good", "good"]
    (ca.folder / "lost.key").rename(ca.folder / "ocsp2.key")
    again = pregen(command, ca.config, *words, "--json")
    assert (again.code, left(again)) == (0, [])
    assert says(ca, pregen, R1 + 1, R2 + 1) == ["revoked", "revoked"]


def test_another_key_that_cannot_sign_for_the_same_rows_does_not_stop_the_first(ca: Ca, pregen: Program) -> None:
    again = make_issuer(ca.issuer.certificate.subject, not_before=ca.now - 9 * DAY, not_after=ca.now + 365 * DAY)
    again.write(ca.folder, "other")
    responder = make_responder(again, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
    responder.write(ca.folder, "ocsp2")
    leave_behind(ca, also="r1", empty=True)
    export(ca, rows(ca)[:10])
    assert pregen("run", ca.config).code == 0
    (ca.folder / "ocsp2.key").unlink()

    ended = pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{R1 + 1:x}", "--json")

    assert ended.code == 8, ended.err
    assert (ended.document["changed"], ended.document["left_out"]) == (1, 1)
    pems = ca.pem, ca.folder / "other.pem"
    assert [found(pregen, ca, pem, R1 + 1) for pem in pems] == ["revoked", "good"]
    write_key(ca.folder / "ocsp2.key", responder.key)
    mended = pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{R1 + 1:x}", "--json")
    assert (mended.code, mended.document["changed"]) == (0, 1)
    assert [found(pregen, ca, pem, R1 + 1) for pem in pems] == ["revoked", "revoked"]


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
