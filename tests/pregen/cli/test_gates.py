"""Gates in whole runs: what is refused with exit 3, what is accepted and kept, and what the next run compares with."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pregen.gates.author import system_user
from storage import commits
from storage.history import EXPIRY_UNIT_S, entries, read_index, read_part
from storage.manifest import read_manifest
from storage.stores import LocalStore
from tests.pregen.cli.ca import Ca, Outcome, Program, instants, octets

WHY = ("--reason", "CHG-7: moved to another CA")


def export(ca: Ca, numbers: Sequence[int], revoked: Sequence[int] = (), reasons: dict[int, int] | None = None) -> None:
    """Write a snapshot of certificates with these serials, some revoked, an hour before now."""
    ca.export(
        serial=octets(*numbers),
        status=pa.array([int(number in revoked) for number in numbers], pa.uint8()),
        revoked_at=instants(*(ca.now - timedelta(hours=1) if number in revoked else None for number in numbers)),
        reason=pa.array([(reasons or {}).get(number) for number in numbers], pa.int8()),
        not_after=instants(*[ca.now + timedelta(days=30)] * len(numbers)),
    )


def content(number: int) -> bytes:
    """Return the content octets of a serial."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


@pytest.fixture
def published(ca: Ca, pregen: Program) -> Ca:
    """A CA that has published 300 certificates with the serials 1 to 300, of which 1 to 5 are revoked, 5 is on hold."""
    ca.profile = "microsoft"  # which knows no rule against holds
    ca.configure()
    export(ca, range(1, 301), range(1, 6), {1: 1, 5: 6})
    assert pregen("run", ca.config).code == 0
    return ca


def gates(outcome: Outcome) -> dict[str, Any]:
    found = outcome.document["gates"]
    assert isinstance(found, dict)
    return found


def codes(outcome: Outcome) -> list[str]:
    findings = outcome.error["findings"]
    assert isinstance(findings, list)
    return [one["code"] for one in findings if one["severity"] == "error"]


def test_a_first_run_has_nothing_to_compare_with_and_says_so(ca: Ca, pregen: Program) -> None:
    found = gates(pregen("run", ca.config, "--json"))
    assert list(found)[-2:] == ["coverage", "window"]
    assert found["shrink"] == {"outcome": "skipped", "figures": {"why": "nothing is published yet"}}
    assert found["coverage"]["figures"] == {"rows_in": 3, "certificates": 3, "excluded": {}}
    assert found["window"]["figures"]["longest_s"] == found["window"]["figures"]["shortest_s"] == 4 * 86_400
    assert found["window"]["figures"]["parsed"] == 6


def test_a_run_with_the_same_certificates_passes_all_gates_and_keeps_that(published: Ca, pregen: Program) -> None:
    now = ("--json", "--now", published.now.isoformat())
    checked, ended = (pregen(command, published.config, *now) for command in ("check", "run"))
    assert ended.code == checked.code == 0
    found = gates(ended)
    assert {result["outcome"] for result in found.values()} == {"passed"}
    assert gates(checked) == {name: found[name] for name in found if name not in {"coverage", "window"}}
    assert found["shrink"]["figures"] == {
        "before": 300,
        "after": 300,
        "vanished": 0,
        "expired": 0,
        "dropped": 0,
        "unknown": 0,
        "known": 0,
        "moved": 0,
        "limit_share": 0.001,
        "limit_count": 100,
    }
    assert pregen("inspect", published.store, "--json").document["gates"] == found
    assert "gate shrink: passed (before 300, after 300, vanished 0" in pregen("inspect", published.store).out
    assert "gate shrink: passed" in pregen("check", published.config).out


def test_certificates_that_vanished_are_refused_with_their_serials(published: Ca, pregen: Program) -> None:
    export(published, range(1, 291), range(1, 6), {1: 1, 5: 6})
    before = published.stored()

    for command in ("check", "run"):
        ended = pregen(command, published.config, "--json")

        assert ended.code == 3
        assert ended.error["code"] == "gate"
        assert codes(ended) == ["shrink.vanished"]
        findings = ended.error["findings"]
        assert isinstance(findings, list)
        (finding,) = findings
        assert (finding["count"], len(finding["examples"])) == (10, 10)
        assert set(finding["examples"]) == {f"{number:x} of r1" for number in range(291, 301)}
        assert "--accept shrink --reason" in ended.err
    assert published.published() == {name: octets for name, octets in before.items() if name in published.published()}
    published.assert_clean()


def test_who_accepts_may_be_said(published: Ca, pregen: Program) -> None:
    export(published, range(1, 291), range(1, 6), {1: 1, 5: 6})

    ended = pregen("run", published.config, "--json", "--accept", "shrink", *WHY, "--by", "Alice, CAB 12")

    assert f"accepted by Alice, CAB 12: {WHY[1]}" in ended.err
    acceptances = pregen("inspect", published.store, "--json").document["gates"]["shrink"]["acceptances"]  # type: ignore[index]
    assert acceptances == [{"gate": "shrink", "reason": WHY[1], "user": "Alice, CAB 12"}]


def test_what_is_accepted_is_published_and_kept_with_who_and_why(published: Ca, pregen: Program) -> None:
    export(published, range(1, 291), range(1, 6), {1: 1, 5: 6})

    ended = pregen("run", published.config, "--json", "--accept", "shrink", *WHY)

    assert ended.code == 0, ended.err
    assert f"accepted by {system_user()}: {WHY[1]}" in ended.err
    stored = pregen("inspect", published.store, "--json").document["gates"]["shrink"]  # type: ignore[index]
    assert stored == gates(ended)["shrink"]
    assert stored["outcome"] == "accepted"
    assert stored["acceptances"] == [{"gate": "shrink", "reason": WHY[1], "user": system_user()}]
    assert stored["findings"][0]["count"] == 10
    assert f"shrink accepted by {system_user()}: {WHY[1]}" in pregen("inspect", published.store).out
    again = pregen("run", published.config, "--json")
    assert (again.code, gates(again)["shrink"]["outcome"]) == (0, "passed"), "the next run compares with the new one"


def test_certificates_that_expired_have_not_vanished(published: Ca, pregen: Program) -> None:
    later = published.now + timedelta(days=31)
    published.configure(validity={"profile": "lab"})
    published.export(as_of=later, serial=octets(999), status=None, revoked_at=instants(None), reason=None)

    ended = pregen("check", published.config, "--json", "--now", later.isoformat())

    assert ended.code == 0, ended.err
    assert gates(ended)["shrink"]["figures"]["expired"] == 300


def test_a_revocation_that_was_undone_is_refused_but_the_release_of_a_hold_is_not(
    published: Ca, pregen: Program
) -> None:
    export(published, range(1, 301), range(1, 5), {1: 1})
    assert pregen("check", published.config).code == 0, "number 5 was on hold"

    export(published, range(1, 301), [1, 2, 4, 5], {1: 1, 5: 6})
    ended = pregen("run", published.config, "--json")

    assert (ended.code, codes(ended)) == (3, ["revocation.undone"])
    assert ended.error["findings"][0]["examples"] == ["3 of r1"]  # type: ignore[index]


def test_a_revoked_certificate_cannot_come_back_as_good_by_a_changed_expiry(published: Ca, pregen: Program) -> None:
    """It would expire tomorrow, be left out the day after, and return as if it were new."""
    ends = [published.now + timedelta(days=1 if number == 3 else 30) for number in range(1, 301)]
    published.export(
        serial=octets(*range(1, 301)),
        status=pa.array([int(number < 6) for number in range(1, 301)], pa.uint8()),
        revoked_at=instants(*(published.now - timedelta(hours=1) if number < 6 else None for number in range(1, 301))),
        reason=pa.array([{1: 1, 5: 6}.get(number) for number in range(1, 301)], pa.int8()),
        not_after=instants(*ends),
    )

    ended = pregen("run", published.config, "--json")

    assert (ended.code, codes(ended)) == (3, ["shrink.expiry", "revocation.shortened"])
    assert ended.error["findings"][1]["examples"] == ["3 of r1"]  # type: ignore[index]


def test_all_gates_that_fail_are_shown_at_once_with_bad_rows(published: Ca, pregen: Program) -> None:
    published.configure(gates={"growth": {"share": 0.1, "count": 10}})
    numbers = [*range(1, 251), *range(1_000, 1_500)]
    published.export(
        serial=pa.array([*map(content, numbers), None, content(2)], pa.binary()),
        status=pa.array([*[0] * 751, 1], pa.uint8()),
        revoked_at=instants(*[None] * 751, published.now - timedelta(hours=1)),
        reason=None,
        not_after=instants(*[published.now + timedelta(days=30)] * 752),
    )

    ended = pregen("run", published.config, "--json")

    assert ended.code == 3
    assert ended.error["code"] == "input", "rows that cannot be read come first"
    assert codes(ended) == [
        "row.conflict",
        "row.serial.null",
        "shrink.vanished",
        "growth.certificates",
        "revocation.undone",
    ]


def test_a_run_needs_an_acceptance_for_each_gate_that_fails(published: Ca, pregen: Program) -> None:
    export(published, range(6, 301))
    shrink = ("--accept", "shrink", "--reason", "one")
    export(published, range(1, 201), [1, 2])

    refused = pregen("run", published.config, "--json", *shrink)

    assert (refused.code, codes(refused)) == (3, ["revocation.undone"])
    both = (*shrink, "--accept", "revocation.undone", "--reason", "two")
    ended = pregen("run", published.config, "--json", *both)
    assert ended.code == 0
    assert [gates(ended)[name]["acceptances"][0]["reason"] for name in ("shrink", "unrevoke")] == ["one", "two"]


def test_certificates_whose_bad_rows_are_accepted_have_vanished(published: Ca, pregen: Program) -> None:
    serial = [None if number <= 10 else content(number) for number in range(1, 301)]
    published.export(
        serial=pa.array(serial, pa.binary()),
        status=None,
        revoked_at=instants(*[None] * 300),
        reason=None,
        not_after=instants(*[published.now + timedelta(days=30)] * 300),
    )
    refused = pregen("run", published.config, "--json")
    accepted = pregen("run", published.config, "--json", "--accept", "rows-invalid", *WHY)

    assert codes(refused) == ["row.serial.null"], "nothing more is gone than bad rows explain"
    assert codes(accepted) == ["shrink.vanished", "revocation.lost"]


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_rows_that_are_accepted_are_left_out_and_counted(ca: Ca, pregen: Program, workers: int) -> None:
    (ca.folder / "day").mkdir()
    for number in range(3):
        ca.export(
            to=f"day/{number}.parquet",
            serial=pa.array([bytes([1 + number]), None, b"\x00\x51", bytes([65 + number])], pa.binary()),
            status=pa.array([0, 0, 0, 1], pa.uint8()),
            revoked_at=instants(None, None, None, None if number else ca.now - timedelta(hours=1)),
            reason=None,
        )
    ca.configure(snapshot={"path": "day"})
    refused = pregen("run", ca.config, "--json")
    assert (refused.code, refused.error["code"]) == (3, "input")
    accept = ("--accept", "rows-invalid", *WHY, "--workers", workers)

    ended = pregen("run", ca.config, "--json", *accept)

    assert ended.code == 0, ended.err
    assert ended.document["excluded"] == {"invalid": 3 + 3 + 2}
    assert (ended.document["rows_in"], ended.document["certificates"]) == (12, 4)
    assert gates(ended)["coverage"]["figures"]["excluded"] == {"invalid": 8}
    assert gates(ended)["rows-invalid"]["figures"]["invalid"] == 8
    assert pregen("verify", ca.store, "--all").code == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", [0, 9])
@pytest.mark.parametrize("columns", ["reason", "revoked_at", "late", "status", "excluded", "needs_ocsp"])
def test_a_certificate_with_a_row_that_gets_no_answer_is_not_published_by_another(
    ca: Ca, pregen: Program, columns: str, limit: int, workers: int
) -> None:
    """The certificate is revoked, in a row that is bad or left out; an old row in another file says good."""
    made = ca.now - timedelta(hours=1)
    (ca.folder / "day").mkdir()
    ca.export(
        to="day/0.parquet",
        serial=octets(5, 7),
        status=pa.array([{"status": 9, "excluded": 60}.get(columns, 1), 0], pa.uint8()),
        revoked_at=instants({"revoked_at": None, "late": ca.now + timedelta(days=1)}.get(columns, made), None),
        reason=pa.array([7 if columns == "reason" else 1, None], pa.int8()),
        needs_ocsp=pa.array([columns != "needs_ocsp", True]),
    )
    ca.export(
        to="day/1.parquet",
        serial=octets(5, 8),
        status=pa.array([0, 0], pa.uint8()),
        revoked_at=instants(None, None),
        reason=pa.array([None, None], pa.int8()),
        needs_ocsp=pa.array([True, True]),
    )
    values = {"good": ["0"], "revoked": ["1"], "unknown": ["2"], "excluded": ["60"]}
    ca.configure(snapshot={"path": "day", "columns": {"status": {"values": values}}}, gates={"rows_invalid": limit})
    accept = () if limit else ("--accept", "rows-invalid", *WHY)

    ended = pregen("run", ca.config, "--json", *accept, "--workers", workers)

    assert (ended.code, codes(ended)) == (3, ["row.conflict"])
    assert "day/0.parquet, row 1, column serial, 5: is bad or left out, and contradicts " in ended.err
    assert "day/1.parquet, row 1" in ended.err
    assert not (ca.store / "commits").exists()


def test_a_gate_s_name_that_is_wrong_or_never_accepted_is_exit_code_2(ca: Ca, pregen: Program) -> None:
    for gate, text in (("shrnk", "there are: zone, shrink"), ("window", "cannot be accepted")):
        ended = pregen("run", ca.config, "--accept", gate, *WHY)
        assert ended.code == 2
        assert text in ended.err
    assert pregen("run", ca.config, "--accept", "zone").code == 2
    assert pregen("check", ca.config, "--accept", "zone", "--reason", "").code == 2
    unneeded = pregen("run", ca.config, "--json", "--accept", "zone", *WHY)
    assert unneeded.code == 0
    assert [one["code"] for one in unneeded.document["findings"]] == ["accept.unneeded"]  # type: ignore[attr-defined]


@pytest.fixture
def without_history(published: Ca) -> Ca:
    """The same, as a version that wrote no history would have published it."""
    store = LocalStore(published.store)
    head = commits.find_head(store)
    assert head is not None
    manifest = read_manifest(store, head.commit.manifest)
    commits.publish(
        store,
        head,
        replace(manifest, history=None),
        commits.CommitTerms(
            publisher=commits.new_publisher(), as_of=head.commit.as_of, started_at=head.commit.started_at
        ),
    )
    return published


def warned(outcome: Outcome) -> list[str]:
    findings = outcome.document["findings"]
    assert isinstance(findings, list)
    return [one["code"] for one in findings]


def status(ca: Ca, pregen: Program, serial: int) -> object:
    words = ("lookup", ca.store, "--issuer", ca.pem, "--json", "--serial", f"{serial:x}")
    return pregen(*words).document["status"]


def test_a_generation_without_history_is_compared_with_what_its_packs_say(without_history: Ca, pregen: Program) -> None:
    ca = without_history
    export(ca, range(1, 301), [2, 3, 4, 5], {5: 6})
    refused = pregen("run", ca.config, "--json", "--accept", "shrink", "--reason", "it is an old store")
    assert (refused.code, codes(refused)) == (3, ["revocation.undone"])
    assert "1 of r1" in refused.err
    export(ca, range(1, 301), range(1, 6), {1: 1, 5: 6})

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, warned(ended)) == (0, ["history.absent"])
    assert "commit 2 has no history" in gates(ended)["shrink"]["figures"]["why"]
    assert gates(ended)["shrink"]["figures"]["before"] == gates(ended)["unrevoke"]["figures"]["on_hold"] * 300 == 300
    assert pregen("verify", ca.store).code == 0
    assert gates(pregen("run", ca.config, "--json"))["growth"]["outcome"] == "passed", "from then on there is one"


def test_what_a_generation_without_history_revoked_stays_revoked_where_the_snapshot_lacks_it(
    without_history: Ca, pregen: Program
) -> None:
    ca = without_history
    export(ca, range(3, 281), [3, 4, 5], {5: 6})

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, warned(ended)) == (0, ["shrink.unknown-expiry", "history.absent", "overlay.ahead"])
    assert gates(ended)["shrink"]["figures"]["unended"] == 22
    export(ca, range(1, 281), [3, 4, 5], {5: 6})
    later = pregen("run", ca.config, "--json")
    assert (later.code, warned(later)) == (0, ["overlay.ahead"])
    assert [status(ca, pregen, serial) for serial in (1, 2, 3, 6)] == ["revoked", "revoked", "revoked", "good"]


def test_what_a_generation_without_history_revoked_goes_by_name_alone(without_history: Ca, pregen: Program) -> None:
    ca = without_history
    export(ca, range(3, 301), [3, 4, 5], {5: 6})

    ended = pregen("run", ca.config, "--json", "--accept", "revocation.lost", "--reason", "they have expired")

    assert (ended.code, gates(ended)["unrevoke"]["figures"]["lost"]) == (0, 2)
    assert "overlay.ahead" not in warned(ended)


def test_what_has_expired_leaves_a_generation_without_history(without_history: Ca, pregen: Program) -> None:
    ca = without_history
    ca.export(
        serial=octets(*range(1, 301)),
        status=pa.array([int(number < 6) for number in range(1, 301)], pa.uint8()),
        revoked_at=instants(*(ca.now - timedelta(hours=1) if number < 6 else None for number in range(1, 301))),
        reason=pa.array([6 if number == 5 else None for number in range(1, 301)], pa.int8()),
        not_after=instants(*(ca.now + timedelta(days=30) * (-1 if number < 3 else 1) for number in range(1, 301))),
    )

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, warned(ended)) == (0, ["history.absent"])
    assert gates(ended)["shrink"]["figures"]["expired"] == 2


def test_packs_that_are_damaged_beside_a_history_that_is_not_there_are_told(
    without_history: Ca, pregen: Program
) -> None:
    for pack in (without_history.store / "packs").iterdir():
        octets_ = bytearray(pack.read_bytes())
        octets_[40] ^= 1
        pack.write_bytes(octets_)
    refused = pregen("run", without_history.config, "--json")
    assert (refused.code, codes(refused)) == (3, ["history.damaged"])


@pytest.mark.parametrize("keep", ["0d", "30d"])
def test_a_revocation_is_final_also_when_answers_for_its_certificate_have_ended(
    ca: Ca, pregen: Program, keep: str
) -> None:
    """With `keep_expired` it has answers still, and without it is remembered that it had."""
    ca.configure(snapshot={"keep_expired": keep}, validity={"profile": "lab", "lifetime": "4d"})

    def night(day: int, *, is_revoked: bool, ends_on: int) -> Outcome:
        now = ca.now + timedelta(days=day)
        ca.export(
            as_of=now,
            serial=octets(1, 2),
            status=pa.array([int(is_revoked), 0], pa.uint8()),
            revoked_at=instants(ca.now - timedelta(hours=1) if is_revoked else None, None),
            reason=None,
            not_after=instants(ca.now + timedelta(days=ends_on), ca.now + timedelta(days=90)),
        )
        return pregen("run", ca.config, "--now", now.isoformat(), "--json")

    assert night(0, is_revoked=True, ends_on=1).code == 0
    assert night(2, is_revoked=True, ends_on=1).code == 0

    back = night(3, is_revoked=False, ends_on=60)

    expected = ["shrink.expiry", "revocation.undone"] if keep == "30d" else ["revocation.returned"]
    assert (back.code, codes(back)) == (3, expected)


def history_objects(ca: Ca) -> tuple[Path, Path]:
    """Return the index and the only part of what the current generation left behind."""
    index, part = sorted((ca.store / "history").iterdir(), key=lambda path: -len(path.name))
    assert (len(index.name), len(part.name)) == (64, 32)
    return index, part


@pytest.mark.parametrize("which", [0, 1], ids=["index", "part"])
@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_damaged_history_is_never_passed_over_and_can_be_accepted(
    published: Ca, pregen: Program, which: int, damage: str
) -> None:
    path = history_objects(published)[which]
    if damage == "lost":
        path.unlink()
    else:
        octets_ = bytearray(path.read_bytes())
        octets_[len(octets_) // 2] ^= 1
        path.write_bytes(octets_)

    verified = pregen("verify", published.store)
    refused = pregen("run", published.config, "--json")

    assert verified.code == 5
    assert f"history/{path.name}" in verified.err
    assert (refused.code, codes(refused)) == (3, ["history.damaged"])
    assert f"history/{path.name}" in refused.err
    assert "--accept history.damaged" in refused.err
    assert pregen("run", published.config, "--accept", "shrink", *WHY).code == 3, "nobody knows what it hides"
    export(published, range(1, 301), [2, 3, 4, 5], {5: 6})
    undone = pregen("run", published.config, "--json", "--accept", "history.damaged", *WHY)
    assert (undone.code, codes(undone)) == (3, ["revocation.undone"]), "packs know what was revoked"
    export(published, range(1, 301), range(1, 6), {1: 1, 5: 6})
    ended = pregen("run", published.config, "--json", "--accept", "history.damaged", *WHY)
    assert ended.code == 0, ended.err
    assert gates(ended)["shrink"]["outcome"] == "accepted"
    assert gates(pregen("run", published.config, "--json"))["shrink"]["outcome"] == "passed"


def test_a_history_is_not_served_nor_needed_by_those_who_serve(published: Ca, pregen: Program) -> None:
    for path in history_objects(published):
        path.unlink()
    words = ("lookup", published.store, "--issuer", published.pem, "--json", "--serial", "2a")
    assert pregen(*words).document["status"] == "good"
    assert pregen("inspect", published.store).code == 0


def test_every_certificate_is_remembered_by_eleven_octets(published: Ca, pregen: Program) -> None:
    store = LocalStore(published.store)
    head = commits.find_head(store)
    assert head is not None
    name = read_manifest(store, head.commit.manifest).history
    assert name is not None
    index = read_index(store, name)
    (part,) = index.parts
    remembered = list(entries(read_part(store, part)))
    assert part.size_bytes == 11 * 300 + 20
    assert sorted(one.status for one in remembered) == ["good"] * 295 + ["on-hold"] + ["revoked"] * 4
    expiry = int((published.now + timedelta(days=30)).timestamp())
    assert {one.not_after for one in remembered} == {expiry - expiry % EXPIRY_UNIT_S}
    assert [issuer.certificates for issuer in index.issuers.values()] == [300]
    assert pregen("inspect", published.store, "--json").document["objects"]["history"]["count"] == 2  # type: ignore[index]


def test_a_stale_snapshot_is_refused_under_a_public_profile(ca: Ca, pregen: Program) -> None:
    as_of = ca.now - timedelta(hours=25)
    ca.export(as_of=as_of)
    ended = pregen("run", ca.config, "--json")
    assert (ended.code, codes(ended)) == (3, ["snapshot.stale"])
    ca.configure(gates={"stale_snapshot": "2d"})
    assert pregen("check", ca.config).code == 0


def test_rows_that_repeat_others_are_refused_beyond_the_limit(ca: Ca, pregen: Program) -> None:
    numbers = [*range(1, 400), *range(1, 111)]
    export(ca, numbers)
    ended = pregen("check", ca.config, "--json")
    assert (ended.code, codes(ended)) == (3, ["row.repeated"])
    examples: list[str] = ended.error["findings"][0]["examples"]  # type: ignore[index]
    assert len(examples) == 20
    shown = [
        re.fullmatch(r".*\.parquet, row (\d+), column serial, (\w+): repeats .*, row (\d+)", one) for one in examples
    ]
    for one in shown:
        assert one is not None
        later, serial, first = int(one[1]), int(one[2], 16), int(one[3])
        assert (numbers[later - 1], numbers[first - 1], later) == (serial, serial, first + 399)
    ca.configure(gates={"duplicate": {"share": 0.5, "count": 100}})
    assert gates(pregen("check", ca.config, "--json"))["duplicate"]["figures"]["repeated"] == 110


def test_contradictions_cannot_be_accepted_and_nobody_is_told_to(ca: Ca, pregen: Program) -> None:
    ca.export(serial=octets(5, 5, 7))

    plain, accepted = (
        pregen("run", ca.config, "--json"),
        pregen("run", ca.config, "--json", "--accept", "duplicate", *WHY),
    )

    assert (plain.code, codes(plain)) == (accepted.code, codes(accepted)) == (3, ["row.conflict"])
    assert "--accept duplicate" not in plain.err
    assert "--accept duplicate does not help: contradictions cannot be accepted" in accepted.err
    assert "accept.unneeded" not in accepted.err


def test_an_export_without_expired_rows_needs_not_after_in_the_one_before(ca: Ca, pregen: Program) -> None:
    ca.export_many(300)
    assert pregen("run", ca.config).code == 0
    ca.export_many(290)

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, codes(ended)) == (3, ["shrink.vanished"])
    assert "their expiry is not known: export not_after" in ended.err


def test_gates_that_had_nothing_to_compare_with_take_one_line_and_no_limit_is_none(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"profile": "lab"})

    out = pregen("run", ca.config).out

    why = "nothing is published yet"
    assert f"gates skipped: shrink, growth, unrevoke, mass-revocation ({why})\n" in out
    assert out.count(why) == 1
    assert "gate stale-snapshot: passed (age " in out
    assert "None" not in out


def test_how_far_a_revocation_may_lie_after_as_of_is_configured(ca: Ca, pregen: Program) -> None:
    ca.export(revoked_at=instants(None, ca.now + timedelta(minutes=20), None))
    refused = pregen("check", ca.config, "--json")
    assert "row.revoked.after-as-of" in codes(refused)
    ca.configure(gates={"skew": "30m"})
    assert pregen("check", ca.config).code == 0


def test_json_of_a_run_can_be_read_back(published: Ca, pregen: Program) -> None:
    export(published, range(1, 291), range(1, 6))
    ended = pregen("run", published.config, "--json", "--accept", "shrink", "--reason", "caf\u00e9 \udcff")
    assert ended.code == 0
    assert json.loads(ended.out)["gates"]["shrink"]["acceptances"][0]["reason"] == "caf\u00e9 \\udcff"


def test_times_that_name_their_own_zone_need_no_proof_of_the_declared_one(ca: Ca, pregen: Program) -> None:
    own = [f"{ca.now - timedelta(days=3 + at):%Y-%m-%dT12:00:00Z}" for at in range(3)]
    ca.configure(snapshot={"path": "snapshot.parquet", "columns": {"not_before": {"zone": "America/Denver"}}})
    ca.export(not_before=pa.array(own))

    ended = pregen("check", ca.config)

    assert ended.code == 0, ended.err
    assert "warning column.zone-unused" in ended.out + ended.err


def test_good_rows_with_times_and_reasons_of_revocations_are_refused_at_once_and_accepted_by_name(
    ca: Ca, pregen: Program
) -> None:
    """A status code that is mapped wrongly: 60 of 360 certificates would be good."""
    numbers = range(1, 361)
    ca.configure(snapshot={"columns": {"status": {"values": {"good": ["20", "40"], "revoked": ["41"]}}}})
    ca.export(
        serial=octets(*numbers),
        status=pa.array([40 if number <= 60 else 20 for number in numbers], pa.int32()),
        revoked_at=instants(*(ca.now - timedelta(days=3) if number <= 60 else None for number in numbers)),
        reason=pa.array([1 if number <= 60 else None for number in numbers], pa.int8()),
    )
    refused = pregen("run", ca.config, "--json")
    imported = pregen("import", ca.config, "--out", ca.folder / "canonical", "--json")
    accepted = pregen("run", ca.config, "--json", "--accept", "revocation.in-columns", *WHY)

    assert (refused.code, codes(refused)) == (3, ["revocation.in-columns"])
    assert "--accept revoked-elsewhere" in str(refused.error["message"])
    assert (imported.code, codes(imported)) == (3, ["revocation.in-columns"])
    assert accepted.code == 0
    assert gates(accepted)["revoked-elsewhere"]["outcome"] == "accepted"
