"""`pregen rollback`: a generation is taken back without un-revoking anybody and without losing new certificates."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pregen.gates.author import Author
from pregen.upkeep.rollback import RollbackTerms, roll_back
from storage.commits import find_head
from storage.errors import CommitRefusedError
from storage.manifest import read_manifest
from storage.stores import LocalStore, Store
from tests.fakes import FlakyStore
from tests.pki import make_issuer
from tests.pregen.cli.ca import Ca, Outcome, Program, instants, octets
from tests.s3 import S3Server

A, B, C, D, E = 0xA1, 0xB2, 0xC3, 0xD4, 0xE5
REASON = ("--reason", "the snapshot was wrong")


def publish(ca: Ca, pregen: Program, rows: Mapping[int, str], *words: object) -> None:
    """Publish a snapshot of certificates, each ``good``, ``revoked``, ``compromised`` or ``hold``, one minute later."""
    ca.profile = "lab"  # which allows holds
    ca.configure()
    number = sum(name.startswith("commits/") for name in ca.stored())
    as_of = ca.now + timedelta(seconds=number)
    revoked_at = [None if status == "good" else ca.now - timedelta(hours=1) for status in rows.values()]
    reasons = {"good": None, "revoked": 4, "compromised": 1, "hold": 6}
    ca.export(
        as_of=as_of,
        serial=octets(*rows),
        status=pa.array([int(status != "good") for status in rows.values()], pa.uint8()),
        revoked_at=instants(*revoked_at),
        reason=pa.array([reasons[status] for status in rows.values()], pa.int8()),
        not_after=instants(*[ca.now + timedelta(days=90)] * len(rows)),
    )
    outcome = pregen("run", ca.config, *words)
    assert outcome.code == 0, outcome.err


def accepting(*gates: str) -> list[str]:
    words = [word for gate in gates for word in ("--accept", gate)]
    return [*words, "--reason", "test"]


def back(ca: Ca, pregen: Program, to: int, *words: object) -> dict[str, object]:
    done = pregen("rollback", ca.config, "--to", to, *REASON, *words, "--json")
    assert done.code == 0, done.err
    return done.document


def answer(ca: Ca, pregen: Program, serial: int, out: Path | None = None) -> str:
    """Return the status that an edge answers with, and the reason; ``absent``: none."""
    words = ("--out", out) if out else ()
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json", *words)
    if found.code == 4:
        return "absent"
    assert found.code == 0, found.err
    return str(found.document["status"])


def answers(ca: Ca, pregen: Program, *serials: int) -> list[str]:
    return [answer(ca, pregen, serial) for serial in serials]


def refused(ca: Ca, pregen: Program, code: str, *words: object) -> Outcome:
    before = ca.published()
    ended = pregen("rollback", ca.config, *words, "--json")
    assert ended.code == 3, ended.err
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    assert [one["code"] for one in findings] == [code]
    assert ca.published() == before
    return ended


def test_revocations_and_new_certificates_stay_and_all_else_is_as_it_was(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good", C: "revoked"})
    publish(ca, pregen, {A: "revoked", B: "good", C: "revoked", D: "good", E: "hold"})
    was = {serial: ca.folder / f"{serial:x}.before" for serial in (A, B, D, E)}
    for serial, out in was.items():
        answer(ca, pregen, serial, out)

    done = back(ca, pregen, 1, "--by", "alice", "--note", "t-1")

    assert done["copied"] == {"good": 1, "revoked": 1, "on_hold": 1, "unknown": 0}
    assert (done["commit"], done["to"], done["dry_run"]) == (3, 1, False)
    assert answers(ca, pregen, A, B, C, D, E) == ["revoked", "good", "revoked", "good", "revoked"]
    for serial in (A, D, E):  # octet by octet
        again = ca.folder / "again"
        answer(ca, pregen, serial, again)
        assert again.read_bytes() == was[serial].read_bytes()
    store = LocalStore(ca.store)
    head = find_head(store)
    assert head is not None
    commit = head.commit
    assert (commit.kind, commit.base, commit.by, commit.note) == ("rollback", 3, "alice", "t-1")
    assert commit.as_of == int(ca.now.timestamp())
    manifest = read_manifest(store, commit.manifest)
    assert [one.rows for one in manifest.overlays] == [3]
    verified = pregen("verify", ca.store, "--all")
    assert verified.code == 0, verified.err
    assert "verify.rollback" not in verified.err
    assert "verify.old-answers" not in verified.err
    newest = pregen("history", ca.store, "--json").document["commits"][0]  # type: ignore[index]
    assert (newest["kind"], newest["reason"]) == ("rollback", "the snapshot was wrong")
    ca.assert_clean()


def test_in_a_bucket_too_a_generation_is_taken_back(ca: Ca, pregen: Program, s3_environment: S3Server) -> None:
    address = f"s3://{s3_environment.new_bucket()}/ocsp"
    for number, (status, serials) in enumerate(((None, (A, B)), (1, (A, B, D)))):
        ca.configure(publish={"store": address})
        ca.export(
            as_of=ca.now + timedelta(seconds=number),
            serial=octets(*serials),
            status=pa.array([status or 0, *[0] * (len(serials) - 1)], pa.uint8()),
            revoked_at=instants(ca.now - timedelta(hours=1) if status else None, *[None] * (len(serials) - 1)),
            reason=None,
        )
        outcome = pregen("run", ca.config)
        assert outcome.code == 0, outcome.err

    for to in (1, 2):  # and from there back again
        done = pregen("rollback", ca.config, "--to", to, *REASON, "--json")
        assert done.code == 0, done.err
        assert done.document["copied"] == {"good": 2 - to, "revoked": 2 - to, "on_hold": 0, "unknown": 0}
        found = [pregen("lookup", address, "--issuer", ca.pem, "--serial", f"{one:x}", "--json") for one in (A, B, D)]
        assert [one.document["status"] for one in found] == ["revoked", "good", "good"]
    verified = pregen("verify", address, "--all")
    assert verified.code == 0, verified.err


def test_a_dry_run_tells_the_same_and_changes_nothing(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "revoked", B: "good", D: "good"})
    before = ca.stored()

    told = back(ca, pregen, 1, "--dry-run")

    assert ca.stored() == before
    assert told["copied"] == back(ca, pregen, 1)["copied"] == {"good": 1, "revoked": 1, "on_hold": 0, "unknown": 0}


def test_what_runs_have_revoked_is_left_to_the_earlier_one_by_name_alone(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "revoked", B: "good", D: "revoked"})
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{B:x}").code == 0

    done = back(ca, pregen, 1, "--accept", "unrevoke", "--by", "alice")

    assert done["left"] == {"unrevoke": 1, "shrink": 0}
    # What a command revoked and no run has confirmed is never left to anybody, nor does a certificate vanish.
    assert answers(ca, pregen, A, B, D) == ["good", "revoked", "revoked"]
    newest = pregen("history", ca.store, "--json").document["commits"][0]  # type: ignore[index]
    assert newest["acceptances"] == [{"gate": "unrevoke", "reason": "the snapshot was wrong", "user": "alice"}]


def test_what_the_earlier_one_lacks_is_left_out_by_name_alone(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "revoked", B: "good", D: "good", E: "hold"})

    done = back(ca, pregen, 1, "--accept", "shrink")

    assert done["left"] == {"unrevoke": 0, "shrink": 2}
    assert answers(ca, pregen, A, B, D, E) == ["revoked", "good", "absent", "absent"]


def test_what_is_revoked_and_left_out_could_come_back_so_that_takes_both_names(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "good", B: "good", D: "good", E: "revoked"})

    done = back(ca, pregen, 1, "--accept", "shrink", "--dry-run")
    assert done["left"] == {"unrevoke": 0, "shrink": 1}
    both = back(ca, pregen, 1, "--accept", "shrink", "--accept", "unrevoke", "--dry-run")
    assert both["left"] == {"unrevoke": 0, "shrink": 2}

    back(ca, pregen, 1, "--accept", "shrink")
    assert answers(ca, pregen, A, B, D, E) == ["good", "good", "absent", "revoked"]
    publish(ca, pregen, {A: "good", B: "good", D: "good"}, *accepting("shrink"))
    assert answers(ca, pregen, D, E) == ["good", "revoked"]


def test_an_acceptance_that_nothing_needed_is_told(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "good", B: "good"}, "--full")

    done = pregen("rollback", ca.config, "--to", 1, *REASON, "--accept", "unrevoke")

    assert done.code == 0, done.err
    assert "accept.unneeded" in done.err


def test_a_certificate_that_has_vanished_since_keeps_what_was_said_of_it_last(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good", C: "good", D: "good"})
    publish(ca, pregen, {A: "revoked", B: "good", C: "revoked", D: "good"})
    publish(ca, pregen, {A: "revoked", B: "good", C: "good", D: "good"}, *accepting("unrevoke"))
    publish(ca, pregen, {B: "good", D: "good"}, *accepting("shrink", "unrevoke", "mass-revocation"))
    assert answers(ca, pregen, A, C) == ["absent", "absent"]

    done = back(ca, pregen, 1)

    assert done["copied"] == {"good": 0, "revoked": 1, "on_hold": 0, "unknown": 0}
    assert answers(ca, pregen, A, B, C, D) == ["revoked", "good", "good", "good"]


def test_what_is_final_is_never_replaced_by_a_hold_nor_a_compromised_key_by_less(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "revoked", B: "compromised", C: "hold", D: "good"})
    publish(
        ca, pregen, {A: "hold", B: "revoked", C: "good", D: "compromised"}, *accepting("unrevoke", "mass-revocation")
    )

    done = back(ca, pregen, 1)

    assert done["copied"] == {"good": 0, "revoked": 1, "on_hold": 0, "unknown": 0}
    shown = {
        serial: pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}").out for serial in (A, B, C, D)
    }
    assert all("revoked" in text for text in shown.values())
    assert answers(ca, pregen, A, B, C, D) == ["revoked"] * 4


def test_urgent_changes_can_be_taken_back_but_for_revocations(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good", C: "good"})
    for words in (("hold", A), ("revoke", B)):
        assert pregen(words[0], ca.config, "--issuer", "r1", "--serial", f"{words[1]:x}").code == 0
    assert pregen("release", ca.config, "--issuer", "r1", "--serial", f"{A:x}").code == 0

    back(ca, pregen, 2)

    assert answers(ca, pregen, A, B, C) == ["revoked", "revoked", "good"]  # held again, as it was then


def test_the_earlier_one_s_own_overlays_stay_and_the_next_run_goes_on_from_all_of_it(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{A:x}").code == 0
    publish(ca, pregen, {A: "good", B: "revoked", D: "good"})

    back(ca, pregen, 2)
    assert answers(ca, pregen, A, B, D) == ["revoked", "revoked", "good"]
    publish(ca, pregen, {A: "revoked", B: "revoked", D: "good"})

    assert answers(ca, pregen, A, B, D) == ["revoked", "revoked", "good"]
    assert pregen("verify", ca.store, "--all").code == 0


def test_it_is_refused_where_answers_end_before_the_next_run(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "good", B: "good"})
    ca.configure(refresh={"every": "5d"})

    ended = refused(ca, pregen, "rollback.window", "--to", 1, *REASON)

    assert "before" in ended.err or "next run" in ended.err


def test_it_is_refused_where_a_part_was_cleaned_up_or_is_announced_to_be(ca: Ca, pregen: Program) -> None:
    for _ in range(3):
        publish(ca, pregen, {A: "good", B: "good"}, "--full")
    packs = {name: data for name, data in ca.stored().items() if name.startswith("packs/")}
    assert pregen("gc", ca.store, "--keep", 1, "--grace", 0).code == 0

    refused(ca, pregen, "rollback.cleaned-up", "--to", 1, *REASON)
    for name, data in packs.items():  # a pack that is back changes nothing
        (ca.store / name).write_bytes(data)
    refused(ca, pregen, "rollback.cleaned-up", "--to", 2, *REASON)


def test_it_is_refused_where_an_issuer_would_vanish(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    other = make_issuer(not_before=ca.now - timedelta(days=9), not_after=ca.now + timedelta(days=900))
    other.write(ca.folder, "other")
    second = {"name": "r2", "certificate": "other.pem", "key": "other.key"}
    ca.configure(second)
    ca.export(
        as_of=ca.now + timedelta(seconds=2),
        serial=octets(A, B, D),
        issuer=pa.array(["r1", "r1", "r2"]),
        status=None,
        revoked_at=instants(None, None, None),
        reason=None,
        not_after=instants(*[ca.now + timedelta(days=90)] * 3),
    )
    outcome = pregen("run", ca.config)
    assert outcome.code == 0, outcome.err

    ended = refused(ca, pregen, "rollback.issuer", "--to", 1, *REASON, "--accept", "shrink")

    assert "r2" in ended.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--to", "2", *REASON), "is the current one"),
        (("--to", "7", *REASON), "is none of this store"),
        (("--to", "0", *REASON), "is none of this store"),
        (("--to", "1", "--reason", " "), "--reason is empty"),
        (("--to", "1"), "--reason"),
        (("--to", "1", *REASON, "--accept", "zone"), "zone"),
    ],
)
def test_words_that_mean_nothing_are_refused(ca: Ca, pregen: Program, words: tuple[str, ...], text: str) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "good", B: "good"})
    before = ca.published()

    ended = pregen("rollback", ca.config, *words)

    assert ended.code == 2
    assert text in ended.err
    assert ca.published() == before


class OvertakenStore(FlakyStore):
    """Does something just before the first commit of its user."""

    def __init__(self, inner: Store, *does: object) -> None:
        super().__init__(inner)
        self.does = list(does)

    def put_if_absent(self, name: str, data: bytes) -> None:
        if self.does and name.startswith("commits/"):
            do = self.does.pop(0)
            assert callable(do)
            do()
        super().put_if_absent(name, data)


def terms(to: int) -> RollbackTerms:
    return RollbackTerms(to=to, reason="x", author=Author("eve"), every_s=86_400)


def test_overtaken_by_urgent_changes_it_compares_again(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good", C: "good"})
    publish(ca, pregen, {A: "good", B: "good", C: "good"})

    def revoke(serial: int) -> Outcome:
        return pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{serial:x}")

    store = OvertakenStore(LocalStore(ca.store), lambda: revoke(A), lambda: revoke(B))

    done = roll_back(store, terms(1), lambda *_: None)

    assert done.commit.number == 5
    assert answers(ca, pregen, A, B, C) == ["revoked", "revoked", "good"]
    assert pregen("verify", ca.store, "--all").code == 0


def test_overtaken_it_looks_only_at_what_is_new_and_takes_back_what_it_had_copied(ca: Ca, pregen: Program) -> None:
    rows = dict.fromkeys(range(1 << 20, (1 << 20) + 40), "good")
    publish(ca, pregen, rows)
    publish(ca, pregen, rows | {A: "good"})
    serials = list(rows)

    def change(command: str, serial: int) -> None:
        outcome = pregen(command, ca.config, "--issuer", "r1", "--serial", f"{serial:x}")
        assert outcome.code == 0, outcome.err

    change("hold", serials[0])
    change("hold", A)
    changes = [("release", serials[0]), ("revoke", serials[1]), ("release", A), ("hold", serials[2])]
    steps = [lambda one=one: change(*one) for one in changes]

    done = roll_back(OvertakenStore(LocalStore(ca.store), *steps), terms(1), lambda *_: None)

    assert done.commit.base == done.commit.number == 9
    assert answers(ca, pregen, *serials[:4], A) == ["good", "revoked", "revoked", "good", "good"]
    verified = pregen("verify", ca.store, "--all")
    assert verified.code == 0, verified.err
    publish(ca, pregen, rows | {A: "good", serials[1]: "revoked"})
    assert answers(ca, pregen, *serials[:4], A) == ["good", "revoked", "revoked", "good", "good"]


def test_overtaken_by_a_run_it_gives_way(ca: Ca, pregen: Program) -> None:
    publish(ca, pregen, {A: "good", B: "good"})
    publish(ca, pregen, {A: "good", B: "good"})
    store = OvertakenStore(LocalStore(ca.store), lambda: publish(ca, pregen, {A: "revoked", B: "good"}))

    with pytest.raises(CommitRefusedError):
        roll_back(store, terms(1), lambda *_: None)

    assert answers(ca, pregen, A, B) == ["revoked", "good"]


def test_a_revocation_is_copied_also_where_its_certificate_expires_before_the_next_run(ca: Ca, pregen: Program) -> None:
    """The law: what was published as revoked is never answered good again, for as long as answers hold."""
    not_after = instants(ca.now + timedelta(hours=3), *[ca.now + timedelta(days=90)] * 2)
    serials, nobody = octets(A, B, C), instants(None, None, None)
    ca.export(serial=serials, status=None, revoked_at=nobody, reason=None, not_after=not_after)
    assert pregen("run", ca.config).code == 0
    ca.export(
        as_of=ca.now + timedelta(seconds=1),
        serial=serials,
        status=pa.array([1, 0, 0], pa.uint8()),
        revoked_at=instants(ca.now - timedelta(hours=1), None, None),
        reason=None,
        not_after=not_after,
    )
    assert pregen("run", ca.config).code == 0

    back(ca, pregen, 1)

    assert answers(ca, pregen, A, B) == ["revoked", "good"]


def test_many_records_of_several_kinds_are_copied_into_packs_that_edges_find_all_of(ca: Ca, pregen: Program) -> None:
    rows = dict.fromkeys(range(1 << 20, (1 << 20) + 600), "good")
    publish(ca, pregen, rows)
    later = rows | dict.fromkeys(list(rows)[:200], "revoked") | dict.fromkeys(list(rows)[200:300], "hold")
    later |= dict.fromkeys(range(1 << 33, (1 << 33) + 200), "good")
    publish(ca, pregen, later, *accepting("mass-revocation"))

    done = back(ca, pregen, 1)

    assert done["copied"] == {"good": 200, "revoked": 200, "on_hold": 100, "unknown": 0}
    verified = pregen("verify", ca.store, "--all", "--json")
    assert verified.code == 0, verified.err
    assert answers(ca, pregen, *list(later)[:3], *list(later)[298:302], *list(later)[-2:]) == [
        *["revoked"] * 5,
        "good",
        "good",
        "good",
        "good",
    ]
