"""`pregen revoke`: what is answered a moment later, what is kept of it, and what is refused."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pregen.config import load_config
from pregen.gates.author import Author, system_user
from pregen.urgent import ChangeOptions, Mention, Order, change
from pregen.urgent.orders import ChangeKind
from storage.commits import find_head
from storage.stores.local import LocalStore
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, UNKNOWN, Ca, Outcome, Program, instants, octets

OTHER = 0x1122334455


@pytest.fixture
def ca(ca: Ca, pregen: Program) -> Ca:
    """A CA that has published what it has issued."""
    assert pregen("run", ca.config).code == 0
    return ca


def revoke(ca: Ca, pregen: Program, *words: object) -> Outcome:
    return pregen("revoke", ca.config, "--issuer", "r1", *words, "--json")


def answer(ca: Ca, pregen: Program, serial: int) -> dict[str, object]:
    """Return what an edge would answer."""
    for name in ("sha1", "sha256"):
        found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--hash", name, "--json")
        assert found.code == 0, found.err
    return found.document


def test_a_certificate_is_revoked_by_its_serial_number(ca: Ca, pregen: Program) -> None:
    before = answer(ca, pregen, GOOD)
    done = revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "keyCompromise", "--note", "ticket 7", "--by", "eve")

    assert done.code == 0, done.err
    document = done.document
    assert (document["kind"], document["changed"], document["revoked"], document["commit"]) == ("revoke", 1, 1, 2)
    after = answer(ca, pregen, GOOD)
    assert (before["status"], after["status"], after["reason"]) == ("good", "revoked", "keyCompromise")
    assert answer(ca, pregen, UNKNOWN)["status"] == "unknown"
    head = find_head(LocalStore(ca.store))
    assert head is not None
    assert (head.commit.kind, head.commit.by, head.commit.note) == ("revoke", "eve", "ticket 7")
    assert (head.commit.base, head.commit.writer_min, head.commit.reader_min) == (1, 3, 2)
    assert pregen("verify", ca.store).code == 0
    shown = pregen("inspect", ca.store).out
    assert "overlays      1 packs with 1 records of urgent changes, 1 revoked" in shown
    assert ", revoke at " in shown
    ca.assert_clean()


def test_the_commit_keeps_the_as_of_of_its_base_and_says_who_runs_the_process(ca: Ca, pregen: Program) -> None:
    store = LocalStore(ca.store)
    first = find_head(store)
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}").code == 0
    second = find_head(store)

    assert first is not None
    assert second is not None
    assert second.commit.as_of == first.commit.as_of
    assert (second.commit.by, second.commit.note) == (system_user(), None)


def test_the_time_of_a_revocation_is_what_is_said_or_now(ca: Ca, pregen: Program) -> None:
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}", "--at", "2026-01-02T03:04:05Z").code == 0
    assert answer(ca, pregen, GOOD)["revoked_at"] == "2026-01-02T03:04:05Z"
    assert answer(ca, pregen, GOOD)["reason"] is None

    assert revoke(ca, pregen, "--serial", f"{UNKNOWN:x}").code == 0
    revoked_at = datetime.fromisoformat(str(answer(ca, pregen, UNKNOWN)["revoked_at"]))
    assert timedelta() <= revoked_at - ca.now < timedelta(minutes=2)


def test_revoking_twice_changes_nothing(ca: Ca, pregen: Program) -> None:
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "superseded").code == 0
    before = ca.stored()
    again = revoke(
        ca, pregen, "--serial", f"{GOOD:x}", "--reason", "cessationOfOperation", "--at", "2026-01-01T00:00:00Z"
    )

    assert again.code == 0
    assert (again.document["changed"], again.document["unchanged"], again.document["published"]) == (0, 1, False)
    assert ca.stored() == before
    in_the_snapshot = revoke(ca, pregen, "--serial", f"{REVOKED:x}")
    assert in_the_snapshot.code == 0
    assert ca.stored() == before
    assert "nothing is changed" in pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").out


def test_key_compromise_replaces_a_weaker_reason_and_keeps_the_time(ca: Ca, pregen: Program) -> None:
    assert (
        revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "superseded", "--at", "2026-01-02T03:04:05Z").code == 0
    )
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "keyCompromise").code == 0
    found = answer(ca, pregen, GOOD)
    assert (found["reason"], found["revoked_at"]) == ("keyCompromise", "2026-01-02T03:04:05Z")

    before = ca.stored()
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "superseded").code == 0
    assert ca.stored() == before


def test_key_compromise_at_another_time_counts_from_then(ca: Ca, pregen: Program) -> None:
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}").code == 0
    assert (
        revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "keyCompromise", "--at", "2025-12-31T00:00:00Z").code
        == 0
    )

    found = answer(ca, pregen, GOOD)
    assert (found["reason"], found["revoked_at"]) == ("keyCompromise", "2025-12-31T00:00:00Z")


def test_what_nobody_knows_is_refused_and_nothing_of_the_rest_is_published(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    refused = revoke(ca, pregen, "--serial", f"{GOOD:x}", "--serial", f"{ABSENT:x}")

    assert refused.code == 3
    assert "error certificate.unknown" in refused.err
    assert "serial 77 of r1" in refused.err
    assert "--cert FILE" in refused.err
    assert ca.stored() == before
    ca.assert_clean()


def test_a_dry_run_says_what_would_be_and_writes_nothing(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    dry = revoke(ca, pregen, "--serial", f"{GOOD:x}", "--dry-run")

    assert dry.code == 0
    assert (dry.document["changed"], dry.document["published"], dry.document["dry_run"]) == (1, False, True)
    assert dry.document["commit"] == 1
    assert ca.stored() == before
    assert revoke(ca, pregen, "--serial", f"{ABSENT:x}", "--dry-run").code == 3


def test_serials_come_from_standard_input_one_a_line(ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"# compromised\n{GOOD:X}\n\n 0x{UNKNOWN:x} \n{GOOD:x}\n"))
    done = revoke(ca, pregen, "--serial", "-")

    assert done.code == 0, done.err
    assert done.document["changed"] == 2
    assert [answer(ca, pregen, one)["status"] for one in (GOOD, UNKNOWN)] == ["revoked", "revoked"]
    monkeypatch.setattr("sys.stdin", io.StringIO("11\nno hex\n"))
    refused = revoke(ca, pregen, "--serial", "-")
    assert refused.code == 2
    assert "standard input, line 2: 'no hex' is no hex number" in refused.err


def test_a_mass_revocation_is_one_overlay_and_takes_what_is_new_alone(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.export_many(3_000)
    assert pregen("run", ca.config, "--accept", "shrink", "--accept", "unrevoke", "--reason", "many").code == 0
    serials = [1 << 40 | number for number in range(3_000)]
    assert revoke(ca, pregen, "--serial", f"{serials[5]:x}").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(f"{one:x}" for one in serials[:2_000])))
    done = revoke(ca, pregen, "--serial", "-", "--reason", "keyCompromise")

    assert done.code == 0, done.err
    assert (done.document["changed"], done.document["revoked"], done.document["overlays"]) == (2_000, 1_999, 2)
    assert [answer(ca, pregen, serials[at])["status"] for at in (0, 5, 1_999, 2_000)] == [*["revoked"] * 3, "good"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(f"{one:x}" for one in serials[:2_500])))
    more = revoke(ca, pregen, "--serial", "-", "--reason", "superseded")
    assert more.code == 0, more.err
    assert (more.document["changed"], more.document["unchanged"]) == (500, 2_000)
    assert answer(ca, pregen, serials[0])["reason"] == "keyCompromise"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say which certificates"),
        (("--serial", "11"), "has no --issuer before it"),
        (("--issuer", "r1"), "has no --serial behind it"),
        (("--issuer", "r1", "--issuer", "r1", "--serial", "11"), "has no --serial behind it"),
        (("--issuer", "r2", "--serial", "11"), "there are: r1"),
        (("--issuer", "r1", "--serial", "1x"), "--serial '1x' is no hex number"),
        (("--issuer", "r1", "--serial", "11", "--reason", "certificateHold"), "invalid choice"),
        (("--issuer", "r1", "--serial", "11", "--at", "2126-01-01T00:00:00Z"), "is still to come"),
        (("--issuer", "r1", "--serial", "11", "--at", "yesterday"), "is no instant"),
        (("--issuer", "r1", "--serial", "11", "--note", " "), "--note is empty"),
    ],
)
def test_words_that_mean_nothing_are_refused_before_anything_is_looked_at(
    ca: Ca, pregen: Program, words: tuple[str, ...], says: str
) -> None:
    before = ca.stored()
    refused = pregen("revoke", ca.config, *words)

    assert refused.code == 2
    assert says in refused.err
    assert ca.stored() == before


def test_nothing_is_revoked_where_nothing_is_published(tmp_path: Path, pregen: Program) -> None:
    (tmp_path / "new").mkdir()
    empty = Ca(tmp_path / "new")
    refused = revoke(empty, pregen, "--serial", f"{GOOD:x}")

    assert refused.code == 4


def test_a_reason_that_the_profile_forbids_is_refused(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    refused = revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "cACompromise")

    assert refused.code == 3
    assert "row.reason.ca-compromise" in refused.err
    assert ca.stored() == before


def test_two_revocations_at_once_both_land(ca: Ca, pregen: Program) -> None:
    """While one has signed, and not yet committed, the other one begins and ends."""
    others: list[int] = []

    def meanwhile(step: str, _done: int, _total: int) -> None:
        if step == "sign" and not others:
            others.append(revoke(ca, pregen, "--serial", f"{UNKNOWN:x}").code)

    mentions = [Mention("issuer", "r1"), Mention("serial", f"{GOOD:x}")]
    order = Order(kind=ChangeKind.REVOKE)
    changed = change(
        load_config(ca.config), order, mentions, ChangeOptions(author=Author("eve")), meanwhile, lambda: ""
    )

    assert others == [0]
    assert changed.landed is not None
    assert changed.landed.head.commit.number == 3
    assert [answer(ca, pregen, one)["status"] for one in (GOOD, UNKNOWN)] == ["revoked", "revoked"]


def test_whoever_is_overtaken_by_the_same_revocation_looks_again(ca: Ca, pregen: Program) -> None:
    others: list[int] = []

    def meanwhile(step: str, _done: int, _total: int) -> None:
        if step == "sign" and not others:
            others.append(revoke(ca, pregen, "--serial", f"{GOOD:x}", "--reason", "keyCompromise").code)

    mentions = [Mention("issuer", "r1"), Mention("serial", f"{GOOD:x}")]
    order = Order(kind=ChangeKind.REVOKE, reason=4)
    changed = change(
        load_config(ca.config), order, mentions, ChangeOptions(author=Author("eve")), meanwhile, lambda: ""
    )

    assert others == [0]
    assert changed.landed is None
    assert answer(ca, pregen, GOOD)["reason"] == "keyCompromise"


def test_an_issuer_in_trouble_does_not_stop_the_revocation_of_others(ca: Ca, pregen: Program) -> None:
    ca.configure({"name": "r2", "certificate": "missing.pem", "key": "missing.key"})
    assert revoke(ca, pregen, "--serial", f"{GOOD:x}").code == 0
    assert answer(ca, pregen, GOOD)["status"] == "revoked"


def test_certificates_are_found_where_the_generation_has_no_history(ca: Ca, pregen: Program) -> None:
    """The store is one of an older version: packs tell what the history would."""
    ca.export(
        serial=octets(GOOD, REVOKED, UNKNOWN, OTHER),
        status=pa.array([0, 1, 2, 1], pa.uint8()),
        revoked_at=instants(None, ca.now - timedelta(hours=1), None, ca.now - timedelta(hours=2)),
        reason=pa.array([None, 1, None, 4], pa.int8()),
    )
    assert pregen("run", ca.config).code == 0
    for part in (ca.store / "history").iterdir():
        part.unlink()
    for serial in (GOOD, OTHER):
        done = revoke(ca, pregen, "--serial", f"{serial:x}", "--reason", "keyCompromise")
        assert done.code == 0, done.err
        assert "history.damaged" in done.err
        assert answer(ca, pregen, serial)["reason"] == "keyCompromise"
    assert revoke(ca, pregen, "--serial", f"{ABSENT:x}").code == 3
