"""Everything that can be wrong with what goes in: exit code, a clear error, nothing published, nothing lost."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from obstore.store import S3Store

from pregen.__main__ import main
from pregen.snapshot.findings import RowPlace
from pregen.snapshot.intake import Intake
from storage import commits
from storage.stores import LocalStore
from tests.faults.damages.crls import ANCHORS, CRLS
from tests.faults.damages.folders import CONFIGURATIONS, FOLDERS
from tests.faults.damages.kinds import Damage, Oddity
from tests.faults.damages.oddities import ODDITIES
from tests.faults.damages.streams import ARROW, ORC, written
from tests.faults.damages.tables import FILES, GATES, SCHEMAS, VALUES
from tests.faults.damages.texts import CSV, INDEX_TXT, csv, index_txt
from tests.pki import DAY, Party, make_issuer, make_key, make_responder, write_key
from tests.pregen.cli.ca import REVOKED, SERIALS, Ca, Outcome, Program, instants, octets
from tests.s3 import S3Server


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    """A CA that has published a generation."""
    ca = Ca(tmp_path_factory.mktemp("original"))
    assert main(["run", str(ca.config)]) == 0
    return ca


@pytest.fixture
def ca(original: Ca, tmp_path: Path) -> Ca:
    return original.copied_to(tmp_path)


TABLES = {
    "parquet": FILES + SCHEMAS + VALUES,
    "arrow": ARROW,
    "orc": ORC,
    "csv": CSV,
    "index.txt": INDEX_TXT,
    "folders": FOLDERS,
    "crl": CRLS,
    "anchor": ANCHORS,
    "gates": GATES,
    "configuration": CONFIGURATIONS,
}
DAMAGES = [
    pytest.param(damage, ("run", "check")[at % 2], id=f"{source}: {damage.name}")
    for at, (source, damage) in enumerate((source, damage) for source, table in TABLES.items() for damage in table)
]


def test_the_table_is_as_long_as_it_should_be() -> None:
    names = [str(damage.id) for damage in DAMAGES]

    assert len(set(names)) == len(names) >= 120
    assert {damage.code for table in TABLES.values() for damage in table} >= {
        "file.damaged",
        "column.naive",
        "row.serial.too-long",
        "line.malformed",
        "crl.signature",
        "crl.critical-extension",
        "crl.future",
        "time.anchor-mismatch",
    }


@pytest.mark.parametrize(("damage", "command"), DAMAGES)
def test_damage_is_refused_with_its_place_and_a_remedy_and_the_current_generation_stays(
    ca: Ca, pregen: Program, damage: Damage, command: str
) -> None:
    before = ca.stored()
    damage.make(ca)

    ended = pregen(command, ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (damage.exit_code, damage.error), ended.err
    errors = [one for one in findings_of(ended) if one["severity"] == "error"]
    assert [one["code"] for one in errors] == [damage.code, *damage.also]
    said = "\n".join([str(ended.error["message"]), errors[0]["message"], *errors[0]["examples"]])
    for part in (damage.place, damage.column, damage.value, damage.remedy):
        assert part in said
    if damage.file:
        assert f"{ca.folder}/{damage.file}" in said
    if damage.code.startswith("row.") and damage.place and "contradicts" not in damage.value:
        assert f"{ca.folder}/{damage.file}, {damage.place}, {damage.column}, {damage.value[:64]}" in said
    assert ended.err.startswith(f"error: {ended.error['message']}\n")
    assert f"error {damage.code}: " in ended.err
    assert "Traceback" not in ended.err
    assert ca.stored() == before
    ca.assert_clean()


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.name)
def test_what_is_unusual_and_leaves_no_doubt_is_taken_and_answered_rightly(
    ca: Ca, pregen: Program, oddity: Oddity
) -> None:
    oddity.make(ca)

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    known = ("shrink.known",) if oddity.statuses[-1] == "good" else ()  # it was unknown before
    found = [one["code"] for one in ended.document.get("findings", [])]  # type: ignore[attr-defined]
    assert sorted(found) == sorted((*oddity.warnings, *known))
    for serial, status in zip(SERIALS, oddity.statuses, strict=True):
        looked_up = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
        assert looked_up.document["status"] == status
    ca.assert_clean()


@pytest.mark.parametrize("source", ["snapshot.parquet", "day.arrow", "day.ipc", "day.csv", "index.txt"])
def test_a_file_that_is_being_written_is_not_published(
    ca: Ca, pregen: Program, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written to just when its rows are read, although by nothing that would change them."""
    before = ca.stored()
    makers = {
        "day.arrow": written(),
        "day.ipc": written(stream=True),
        "day.csv": csv(bytes),
        "index.txt": index_txt(bytes),
    }
    if source in makers:
        makers[source](ca)

    read = Intake.read

    def read_while_it_is_written(self: Intake, batch: pa.RecordBatch, first: RowPlace) -> object:
        os.utime(ca.folder / source, ns=(1, 1))
        return read(self, batch, first)

    monkeypatch.setattr(Intake, "read", read_while_it_is_written)
    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (3, "input"), ended.err
    [finding] = findings_of(ended)
    assert finding["code"] == "file.changed"
    assert f"{ca.folder}/{source}: it was changed while it was being read (it was written to): run again" in ended.err
    assert ca.stored() == before
    ca.assert_clean()


def findings_of(ended: Outcome) -> list[dict[str, Any]]:
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    return findings


BUCKET_DAMAGES: dict[str, tuple[Callable[[bytes], bytes | None], str, str]] = {
    "no object": (lambda _: None, "file.missing", "correct the path, or export it"),
    "no octet": (lambda _: b"", "file.empty", "export it again"),
    "cut off": (lambda data: data[:-40], "file.damaged", "export it again"),
    "another format": (lambda _: b"<xml/> 12345", "file.format", "export it as Parquet"),
}


@pytest.mark.parametrize(("change", "code", "remedy"), BUCKET_DAMAGES.values(), ids=BUCKET_DAMAGES)
def test_damage_in_a_bucket_is_refused_alike(
    ca: Ca, pregen: Program, s3_environment: S3Server, change: Callable[[bytes], bytes | None], code: str, remedy: str
) -> None:
    before = ca.stored()
    bucket = s3_environment.new_bucket()
    octets = change(ca.snapshot.read_bytes())
    if octets is not None:
        S3Store(bucket, client_options={"allow_http": True}).put("day/1.parquet", octets)
    ca.configure(snapshot={"path": f"s3://{bucket}/day/1.parquet"})

    for command in ("run", "check"):
        ended = pregen(command, ca.config, "--json")

        assert (ended.code, ended.error["code"]) == (3, "input"), ended.err
        [finding] = findings_of(ended)
        assert finding["code"] == code
        assert f"s3://{bucket}/day/1.parquet: " in finding["message"]
        assert remedy in finding["message"]
        assert "Traceback" not in ended.err
        assert ca.stored() == before
        ca.assert_clean()


def test_a_first_run_that_is_refused_leaves_no_store(pregen: Program, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    ca.export(status=pa.array([0, 1, 7], pa.uint8()))

    assert pregen("run", ca.config).code == 3
    assert not ca.store.exists()


def test_all_kinds_are_counted_to_the_end_with_twenty_examples_each(ca: Ca, pregen: Program) -> None:
    """Nobody wants to repair a snapshot one run at a time."""
    (ca.folder / "day").mkdir()
    ca.configure(snapshot={"path": "day/*.parquet"})
    good = [number.to_bytes(2, "big") for number in range(0x100, 0x100 + 60)]
    for name, serial, status in (
        ("1", good[:30], [0] * 30),
        ("2", [b""] * 25 + good[30:], [0] * 30 + [9] * 25),
    ):
        rows = len(serial)
        ca.export(
            to=f"day/{name}.parquet",
            serial=pa.array(serial, pa.binary()),
            status=pa.array(status, pa.uint8()),
            revoked_at=instants(*[None] * rows),
            reason=None,
        )

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 3
    findings = ended.error["findings"]
    assert isinstance(findings, list)
    assert {one["code"]: (one["count"], len(one["examples"])) for one in findings} == {
        "row.serial.empty": (25, 20),
        "row.status.unknown": (25, 20),
    }
    empty, unknown = (
        next(one for one in findings if one["code"] == f"row.{kind}") for kind in ("serial.empty", "status.unknown")
    )
    assert empty["examples"][0] == f"{ca.folder}/day/2.parquet, row 1, serial, "
    assert unknown["examples"][19] == f"{ca.folder}/day/2.parquet, row 50, status, 9"
    assert "... 25 in all" in ended.err


def test_a_conflict_names_both_rows(ca: Ca, pregen: Program) -> None:
    ca.export(serial=octets(5, 5, 7))

    err = pregen("run", ca.config).err

    assert f"{ca.snapshot}, row 2, column serial, 5: contradicts {ca.snapshot}, row 1" in err


def test_five_minutes_of_clock_skew_are_no_fault(ca: Ca, pregen: Program) -> None:
    ca.export(revoked_at=instants(None, ca.now + timedelta(minutes=5), None))

    assert pregen("run", ca.config).code == 0


def test_a_snapshot_of_which_nothing_is_left_is_refused_at_the_gate(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    ca.export(not_after=instants(*[ca.now - timedelta(days=1)] * 3))

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (3, "gate")
    assert "look at keep_expired" in ended.err
    assert ca.stored() == before
    ca.assert_clean()


def test_a_snapshot_older_than_the_current_commit_is_refused_at_the_gate(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    ca.export(as_of=ca.now - timedelta(seconds=1))

    for ended in (pregen("run", ca.config, "--json"), pregen("check", ca.config, "--json")):
        assert (ended.code, ended.error["code"]) == (3, "gate")
        assert "is older than that of the current commit" in ended.err
        assert ca.stored() == before


def test_a_snapshot_that_was_due_for_replacement_before_it_is_signed_is_refused(ca: Ca, pregen: Program) -> None:
    ca.configure(publish={"store": "empty"})
    ca.export(as_of=ca.now - timedelta(days=3))

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (3, "gate")
    assert "take a newer snapshot" in ended.err


@pytest.mark.parametrize("lifetime", ["15h", "8d", "604801s", "57599s"])
def test_a_lifetime_that_strict_forbids_is_a_mistake_of_the_configuration(
    ca: Ca, pregen: Program, lifetime: str
) -> None:
    before = ca.stored()
    ca.configure(validity={"lifetime": lifetime})

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.error["code"]) == (2, "configuration")
    assert "config.lifetime" in ended.err
    assert "profile strict allows" in ended.err
    assert "lab" not in ended.err
    assert ca.stored() == before


@pytest.mark.parametrize("lifetime", ["16h", "7d"])
def test_the_bounds_of_strict_are_allowed(ca: Ca, pregen: Program, lifetime: str) -> None:
    ca.configure(validity={"lifetime": lifetime})

    assert pregen("run", ca.config).code == 0


def test_an_unknown_field_is_named_with_file_place_and_the_nearest_known_name(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"lifetyme": "4d"}, snapshot={"colums": {}})

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 2
    assert f"{ca.config}: validity.lifetyme: is not a known field; did you mean 'lifetime'?" in ended.err
    assert f"{ca.config}: snapshot.colums: is not a known field; did you mean 'columns'?" in ended.err


LONG = 9 * DAY
TROUBLES: dict[str, Callable[[Party, datetime], Party]] = {
    "responder.no-eku": lambda issuer, now: make_responder(issuer, eku=(), not_before=now - LONG),
    "responder.no-nocheck": lambda issuer, now: make_responder(issuer, nocheck=None, not_before=now - LONG),
    "responder.expired": lambda issuer, now: make_responder(issuer, not_before=now - LONG, not_after=now - DAY),
    "responder.not-yet-valid": lambda issuer, now: make_responder(issuer, not_before=now + DAY),
    "responder.wrong-issuer": lambda _, now: make_responder(make_issuer("Stranger"), not_before=now - LONG),
    "key.mismatch": lambda issuer, now: make_responder(issuer, not_before=now - LONG),
    "key.passphrase.wrong": lambda issuer, now: make_responder(issuer, not_before=now - LONG),
}


def test_all_trouble_with_keys_and_certificates_is_told_at_once(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ca.stored()
    monkeypatch.setenv("WRONG_PASS", "wrong")
    files = {"certificate": "issuer.pem", "responder_certificate": "ocsp.pem", "key": "ocsp.key"}
    issuers = [{"name": "again", **files}]
    for code, make in TROUBLES.items():
        issuer = make_issuer(f"Root of {code}", not_before=ca.now - LONG)
        responder = make(issuer, ca.now)
        issuer.write(ca.folder, code)
        responder.write(ca.folder, f"{code}-ocsp")
        key = f"{code}-ocsp.key"
        issuers.append(
            {"name": code, "certificate": f"{code}.pem", "responder_certificate": f"{code}-ocsp.pem", "key": key}
        )
        if code == "key.mismatch":
            write_key(ca.folder / key, make_key())
        if code == "key.passphrase.wrong":
            write_key(ca.folder / key, responder.key, passphrase="right")
            issuers[-1]["key_passphrase_env"] = "WRONG_PASS"
    ca.configure(*issuers)

    for command in ("run", "check"):
        ended = pregen(command, ca.config, "--json")

        assert (ended.code, ended.error["code"]) == (2, "configuration")
        findings = ended.error["findings"]
        assert isinstance(findings, list)
        told = [(one["code"], one["message"].split('"')[1]) for one in findings if one["severity"] == "error"]
        assert sorted(told) == sorted([("issuer.same-id", "r1"), *((code, code) for code in TROUBLES)])
        assert "write them as one section" in ended.err
        assert ca.stored() == before


def test_a_store_of_a_newer_version_is_not_touched(ca: Ca, pregen: Program) -> None:
    store = LocalStore(ca.store)
    head = commits.find_head(store)
    assert head is not None
    for reader_min, duty in ((commits.READER_VERSION, "publisher"), (commits.READER_VERSION + 1, "reader")):
        newer = commits.Commit(
            number=head.commit.number + 1,
            parent=None,
            publisher="ab" * 16,
            as_of=head.commit.as_of,
            started_at=head.commit.started_at,
            manifest=head.commit.manifest,
            reader_min=reader_min,
            writer_min=commits.WRITER_VERSION + 1,
            base=head.commit.number + 1,
        )
        store.put(commits.commit_name(newer.number), commits.encode_commit(newer))
        before = ca.stored()

        for command in ("run", "check"):
            ended = pregen(command, ca.config, "--json")
            assert (ended.code, ended.error["code"]) == (5, "storage")
            known = commits.WRITER_VERSION if duty == "publisher" else commits.READER_VERSION
            assert f"commit 2 needs a {duty} of format version {known + 1}" in ended.err
            assert "upgrade ocsp-pregen" in ended.err
        assert ca.stored() == before
    for words in (("inspect",), ("verify",), ("lookup", "--issuer", ca.pem, "--serial", f"{REVOKED:x}")):
        ended = pregen(words[0], ca.store, *words[1:])
        assert ended.code == 5
        assert "upgrade ocsp-pregen" in ended.err


def test_a_second_ca_does_not_erase_the_first(ca: Ca, pregen: Program) -> None:
    (ca.folder / "second").mkdir()
    second = Ca(ca.folder / "second")
    second.configure(issuer={"name": "r2"}, publish={"store": str(ca.store)})
    before = ca.stored()

    for command in ("run", "check"):
        ended = pregen(command, second.config, "--json")
        assert (ended.code, ended.error["code"]) == (3, "gate")
        assert "commit 1 answers for r1, which the configuration lacks" in ended.err
        assert "--drop-issuer r1" in ended.err
        assert ca.stored() == before

    assert pregen("run", second.config, "--drop-issuer", "r3").code == 3
    assert ca.stored() == before
    dropped = pregen(
        "run", second.config, "--drop-issuer", "r1", "--reason", "its CA has ended", "--by", "Ada", "--json"
    )
    assert (dropped.code, dropped.document["commit"]) == (0, 2)
    assert "drop-issuer r1 by Ada: its CA has ended" in dropped.err
    assert "drop-issuer r1 accepted by Ada: its CA has ended" in pregen("history", ca.store).out
    ask = ("--serial", f"{REVOKED:x}", "--issuer")
    assert pregen("lookup", ca.store, *ask, second.pem).code == 0
    assert pregen("lookup", ca.store, *ask, ca.pem).code == 4
    idle = pregen("run", second.config, "--drop-issuer", "r1")
    assert idle.code == 0
    assert "nothing to drop by that name" in idle.err
