"""A revocation is final also when its certificate has ended, and a source moves its notAfter later on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from storage.commits import Commit, CommitTerms, find_head, publish
from storage.ended_part import EndedPart
from storage.history import encode_index, read_index
from storage.manifest import read_manifest
from storage.stores import LocalStore
from tests.pki import DAY, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Outcome, Program, Value, instants, octets
from tests.pregen.cli.test_holds import certificate

X, Y, Z = 0xA1, 0xB2, 0xC3
ACCEPTED = ("--accept", "unrevoke", "--reason", "test")


@dataclass
class Nights:
    """Nights of one CA: each row says its status, and the day on which its certificate ends."""

    ca: Ca
    pregen: Program
    keep: str = "0d"

    def rows(self, day: float, rows: Mapping[int, tuple[str, float]], to: str = "snapshot.parquet") -> Path:
        """Write rows; Z, which is good and ends late, is always among those of a snapshot."""
        every = rows if to != "snapshot.parquet" else {**rows, Z: ("good", 300)}
        reasons = {"good": None, "revoked": 4, "hold": 6}
        self.ca.configure(
            snapshot={"keep_expired": self.keep},
            validity={"profile": "lab", "lifetime": "9d"},
            gates={"shrink": {"share": 1.0, "count": 99}},
        )
        return self.ca.export(
            to=to,
            as_of=self.at(day),
            serial=octets(*every),
            issuer=pa.array(["r1"] * len(every)),
            status=pa.array([int(status != "good") for status, _ in every.values()], pa.uint8()),
            revoked_at=instants(
                *(None if status == "good" else self.ca.now - timedelta(hours=1) for status, _ in every.values())
            ),
            reason=pa.array([reasons[status] for status, _ in every.values()], pa.int8()),
            not_after=instants(*(self.at(end) for _, end in every.values())),
        )

    def at(self, day: float) -> datetime:
        return self.ca.now + timedelta(days=day)

    def run(self, day: float, rows: Mapping[int, tuple[str, float]], *words: object) -> Outcome:
        self.rows(day, rows)
        return self.command("run", day, *words)

    def command(self, name: str, day: float, *words: object) -> Outcome:
        return self.pregen(name, self.ca.config, *words, "--now", self.at(day).isoformat(), "--json")

    def status(self, serial: int) -> str:
        found = self.pregen("lookup", self.ca.store, "--issuer", self.ca.pem, "--serial", f"{serial:x}", "--json")
        return "absent" if found.code == 4 else str(found.document["status"])

    def ended(self) -> tuple[EndedPart, ...]:
        store = LocalStore(self.ca.store)
        head = find_head(store)
        assert head is not None
        name = read_manifest(store, head.commit.manifest).history
        assert name is not None
        return read_index(store, name).ended

    def have_ended(self, day: float = 2) -> None:
        """Publish X as revoked, and then a generation without it, since it has ended."""
        assert self.run(0, {X: ("revoked", 1)}).code == 0
        assert self.run(day, {}).code == 0
        assert self.status(X) == "absent"


@pytest.fixture
def nights(ca: Ca, pregen: Program) -> Nights:
    return Nights(ca, pregen)


def codes(outcome: Outcome) -> list[str]:
    findings = outcome.error["findings"]
    assert isinstance(findings, list)
    return [one["code"] for one in findings if one["severity"] == "error"]


@pytest.mark.parametrize("status", ["good", "hold"])
def test_a_row_that_comes_back_with_a_later_end_is_refused_but_by_name(nights: Nights, status: str) -> None:
    nights.have_ended()
    assert nights.run(3, {}).code == 0, "one night more makes no difference"

    refused = nights.run(4, {X: (status, 20)})

    assert (refused.code, codes(refused)) == (3, ["revocation.returned"])
    assert "row 1, column serial, a1" in str(refused.error["findings"])
    for accepted in ("shrink", "growth"):
        assert nights.run(4, {X: (status, 20)}, "--accept", accepted, "--reason", "test").code == 3
    assert nights.run(4, {X: (status, 20)}, *ACCEPTED).code == 0
    assert nights.status(X) == ("good" if status == "good" else "revoked")
    assert nights.ended() == (), "what was freed by name is asked for once"
    assert nights.run(5, {X: (status, 20)}).code == 0
    assert nights.run(30, {}).code == 0
    assert nights.run(31, {X: ("good", 90)}).code == 0, "it has ended as what it was last"


def test_a_row_that_comes_back_as_it_was_is_published(nights: Nights) -> None:
    nights.have_ended()
    assert nights.run(3, {X: ("revoked", 20)}).code == 0
    assert nights.status(X) == "revoked"
    refused = nights.run(4, {X: ("good", 20)})
    assert (refused.code, codes(refused)) == (3, ["revocation.undone"])
    assert nights.run(30, {}).code == 0
    assert codes(nights.run(31, {X: ("good", 90)})) == ["revocation.returned"]


def test_rows_of_expired_certificates_are_remembered_and_come_back_when_they_are_kept_for_longer(
    nights: Nights,
) -> None:
    assert nights.run(0, {X: ("revoked", 1), Y: ("hold", 1)}).code == 0
    assert nights.run(2, {X: ("revoked", 1), Y: ("hold", 1)}).code == 0
    nights.keep = "30d"
    assert codes(nights.run(3, {X: ("good", 1), Y: ("good", 1)})) == ["revocation.returned"]
    assert nights.run(3, {X: ("revoked", 1), Y: ("good", 1)}).code == 0, "a hold is not final"
    assert (nights.status(X), nights.status(Y)) == ("revoked", "good")


def test_urgent_revocations_that_end_in_their_overlay_are_remembered(nights: Nights) -> None:
    assert nights.run(0, {X: ("good", 1)}).code == 0
    assert nights.command("revoke", 0.1, "--issuer", "r1", "--serial", f"{X:x}").code == 0
    assert nights.run(0.5, {X: ("good", 1)}).code == 0
    assert nights.run(2, {}).code == 0
    assert nights.status(X) == "absent"
    assert codes(nights.run(3, {X: ("good", 60)})) == ["revocation.returned"]


def test_revocations_that_a_snapshot_lacked_and_that_ended_then_are_remembered(nights: Nights) -> None:
    assert nights.run(0, {X: ("revoked", 3)}).code == 0
    nights.ca.configure(gates={"unrevoke": 2})
    nights.rows(1, {})
    nights.ca.configure(
        validity={"profile": "lab", "lifetime": "9d"}, gates={"unrevoke": 2, "shrink": {"share": 1.0, "count": 99}}
    )
    assert nights.command("run", 1).code == 0
    assert nights.status(X) == "revoked"
    assert nights.run(4, {}).code == 0
    assert nights.status(X) == "absent"
    assert codes(nights.run(5, {X: ("good", 60)})) == ["revocation.returned"]


def test_a_row_that_has_expired_takes_nobody_out_of_an_overlay_before_the_end_that_was_told_first(
    nights: Nights,
) -> None:
    assert nights.run(0, {X: ("revoked", 5)}).code == 0
    nights.rows(1, {})
    nights.ca.configure(
        validity={"profile": "lab", "lifetime": "9d"}, gates={"unrevoke": 2, "shrink": {"share": 1.0, "count": 99}}
    )
    assert nights.command("run", 1).code == 0
    assert nights.run(2, {X: ("revoked", 1)}).code == 0
    assert nights.status(X) == "revoked"
    assert nights.run(7, {}).code == 0
    assert nights.status(X) == "absent"
    assert codes(nights.run(8, {X: ("good", 60)})) == ["revocation.returned"]


def test_a_delta_takes_it_back_by_name_alone(nights: Nights) -> None:
    nights.have_ended()
    changes = nights.rows(3, {X: ("good", 60), Y: ("good", 60)}, "changes.parquet")
    refused = nights.command("delta", 3, changes)
    assert (refused.code, codes(refused)) == (3, ["revocation.undone"])
    assert nights.status(Y) == "absent"
    assert nights.command("delta", 3, changes, *ACCEPTED).code == 0
    assert (nights.status(X), nights.status(Y)) == ("good", "good")
    assert nights.run(4, {X: ("good", 60), Y: ("good", 60)}).code == 0
    assert nights.ended() == ()


def test_a_delta_that_says_so_too_lands(nights: Nights) -> None:
    nights.have_ended()
    changes = nights.rows(3, {X: ("revoked", 60)}, "changes.parquet")
    assert nights.command("delta", 3, changes).code == 0
    assert nights.status(X) == "revoked"


@pytest.mark.parametrize("command", ["hold", "release", "revoke"])
def test_commands_see_that_it_is_final(nights: Nights, command: str) -> None:
    nights.have_ended()
    done = nights.command(command, 3, "--cert", certificate(nights.ca, X))
    if command == "revoke":
        assert (done.code, nights.status(X)) == (0, "revoked")
    else:
        assert (done.code, codes(done)) == (3, ["certificate.revoked"])
        assert nights.status(X) == "absent"


def test_a_rollback_forgets_nothing(nights: Nights) -> None:
    assert nights.run(0, {}).code == 0
    assert nights.run(0.001, {X: ("revoked", 0.01)}).code == 0
    assert nights.run(0.02, {}).code == 0
    (ended,) = nights.ended()
    assert nights.pregen("rollback", nights.ca.config, "--to", 1, "--reason", "test").code == 0
    assert [part.rows for part in nights.ended()] == [ended.rows] == [1]
    assert codes(nights.run(0.03, {X: ("good", 60)})) == ["revocation.returned"]


def test_what_a_rollback_does_not_copy_since_it_ends_soon_is_remembered(nights: Nights) -> None:
    """The clock of a rollback is the machine's: a certificate that ends within the day is left out, and comes back."""
    assert nights.run(0, {}).code == 0
    assert nights.run(0.001, {X: ("revoked", 0.5)}).code == 0
    assert nights.pregen("rollback", nights.ca.config, "--to", 1, "--reason", "test").code == 0
    assert nights.status(X) == "absent"
    assert codes(nights.run(0.01, {X: ("good", 60)})) == ["revocation.returned"]


def test_a_rollback_to_a_generation_without_history_says_what_it_would_forget(nights: Nights) -> None:
    store = without_history(nights)
    assert nights.run(0.001, {X: ("revoked", 0.01)}).code == 0
    assert nights.run(0.02, {}).code == 0
    assert nights.ended()
    words = ("rollback", nights.ca.config, "--to", 2, "--json", "--reason", "test")

    refused = nights.pregen(*words)

    assert (refused.code, codes(refused)) == (3, ["rollback.ended"])
    assert "1 revocations" in str(refused.error["findings"]), "a generation in between knows of the same one"
    assert nights.pregen(*words, "--accept", "unrevoke").code == 0
    assert find_head(store) is not None


def without_history(nights: Nights) -> LocalStore:
    """Publish a generation, and once more as version 0.1 did, without history; return the store."""
    assert nights.run(0, {}).code == 0
    store = LocalStore(nights.ca.store)
    head = find_head(store)
    assert head is not None
    manifest = read_manifest(store, head.commit.manifest)
    publish(store, head, replace(manifest, history=None), terms_of(head.commit))
    return store


def test_a_damaged_memory_is_told_and_passed_over_by_name(nights: Nights) -> None:
    nights.have_ended()
    (part,) = nights.ended()
    path = nights.ca.store / part.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    refused = nights.run(3, {X: ("good", 60)})

    assert (refused.code, codes(refused)) == (3, ["history.damaged"])
    assert part.name in str(refused.error["findings"])
    assert nights.pregen("verify", nights.ca.store).code == 5
    assert nights.run(3, {X: ("good", 60)}, "--accept", "history.damaged", "--reason", "test").code == 0
    assert nights.ended() == ()
    assert nights.pregen("verify", nights.ca.store).code == 0


def test_where_history_and_packs_are_damaged_what_is_remembered_counts_all_the_same(nights: Nights) -> None:
    nights.have_ended()
    store = LocalStore(nights.ca.store)
    head = find_head(store)
    assert head is not None
    manifest = read_manifest(store, head.commit.manifest)
    assert manifest.history is not None
    parts = [part.name for part in read_index(store, manifest.history).parts]
    for name in (*parts, *(shard.pack for shard in manifest.shards)):
        (nights.ca.store / name).unlink()
    accepted = ("--accept", "history.damaged", "--reason", "test")

    refused = nights.run(3, {X: ("good", 60)}, *accepted)

    assert (refused.code, codes(refused)) == (3, ["revocation.returned"])
    assert nights.run(3, {X: ("revoked", 60)}, *accepted).code == 0


@pytest.mark.parametrize("is_there", [True, False])
def test_a_rollback_answers_good_for_nobody_who_was_revoked_in_between_and_whose_end_was_moved_then(
    nights: Nights, is_there: bool
) -> None:
    assert nights.run(0, {X: ("good", 60)}).code == 0
    assert nights.run(0.001, {X: ("revoked", 60)}).code == 0
    head = find_head(LocalStore(nights.ca.store))
    assert head is not None
    moved = {X: ("revoked", 0.01)}
    assert codes(nights.run(0.02, moved)) == ["revocation.lost"]
    assert nights.run(0.02, moved, "--accept", "revocation.lost", "--reason", "test").code == 0
    assert nights.status(X) == "absent"
    if not is_there:
        (nights.ca.store / head.commit.manifest).unlink()

    outcome = nights.pregen("rollback", nights.ca.config, "--to", 1, "--reason", "test")

    assert (outcome.code, nights.status(X)) == ((0, "revoked") if is_there else (3, "absent"))


@pytest.mark.parametrize(("kept", "code", "status"), [(3, 0, "revoked"), (2, 3, "absent"), (1, 3, "absent")])
def test_after_a_cleaning_a_rollback_answers_good_for_nobody_who_was_revoked_in_between(
    nights: Nights, kept: int, code: int, status: str
) -> None:
    """Of what lies between a kept generation and the newest, cleaning takes nothing."""
    assert nights.run(0, {X: ("good", 60)}).code == 0
    assert nights.run(0.001, {X: ("revoked", 60)}).code == 0
    accepted = ("--accept", "revocation.lost", "--reason", "test")
    assert nights.run(0.02, {X: ("revoked", 0.01)}, *accepted).code == 0
    assert nights.pregen("gc", nights.ca.config, "--keep", kept, "--grace", "0s").code == 0

    outcome = nights.pregen("rollback", nights.ca.config, "--to", 1, "--json", "--reason", "test")

    assert (outcome.code, nights.status(X)) == (code, status)
    if code:
        assert codes(outcome) == ["rollback.cleaned-up"]


def test_cleaning_takes_none_of_it(nights: Nights) -> None:
    nights.have_ended()
    for day in (3, 4):
        assert nights.run(day, {}).code == 0
    assert nights.pregen("gc", nights.ca.config, "--keep", "1", "--grace", "0s").code == 0
    assert codes(nights.run(5, {X: ("good", 60)})) == ["revocation.returned"]


def test_a_further_key_of_the_ca_frees_nobody(nights: Nights) -> None:
    """What is remembered is known by its key alone, which is another one under another name: the own one tells."""
    nights.have_ended()
    nights.rows(3, {X: ("good", 60)})
    ca = nights.ca
    new = make_issuer(not_before=ca.now - 300 * DAY, not_after=ca.now + 300 * DAY)
    new.write(ca.folder, "new")
    make_responder(new, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY).write(ca.folder, "ocsp-new")
    further: dict[str, Value] = {
        "name": "r1-new",
        "certificate": "new.pem",
        "responder_certificate": "ocsp-new.pem",
        "key": "ocsp-new.key",
        "also": "r1",
    }
    ca.configure(further, validity={"profile": "lab", "lifetime": "9d"}, gates={"growth": {"share": 9.0, "count": 99}})
    assert codes(nights.command("run", 3)) == ["revocation.returned"]


def test_a_store_of_before_remembers_from_now_on(nights: Nights) -> None:
    nights.have_ended()
    store = LocalStore(nights.ca.store)
    head = find_head(store)
    assert head is not None
    manifest = read_manifest(store, head.commit.manifest)
    assert manifest.history is not None
    name, octets_ = encode_index(replace(read_index(store, manifest.history), ended=()))
    assert b"ended" not in octets_
    store.put(name, octets_)
    publish(store, head, replace(manifest, history=name), terms_of(head.commit))
    assert nights.run(3, {X: ("good", 60)}).code == 0, "nobody knows of it"


def terms_of(commit: Commit) -> CommitTerms:
    return CommitTerms(publisher="other", as_of=commit.as_of, started_at=commit.as_of)
