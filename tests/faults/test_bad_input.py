"""Everything that can be wrong with what goes in: exit code, a clear error, nothing published, nothing lost."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.__main__ import main
from storage import commits
from storage.stores import LocalStore
from tests.pki import DAY, Party, make_issuer, make_key, make_responder, write_key
from tests.pregen.cli.ca import REVOKED, SERIALS, Ca, Program, instants, octets


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    """A CA that has published a generation."""
    ca = Ca(tmp_path_factory.mktemp("original"))
    assert main(["run", str(ca.config)]) == 0
    return ca


@pytest.fixture
def ca(original: Ca, tmp_path: Path) -> Ca:
    return original.copied_to(tmp_path)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what must be said of it."""

    name: str
    make: Callable[[Ca], object]
    finding: str
    advice: str


def cut(ca: Ca) -> None:
    ca.snapshot.write_bytes(ca.snapshot.read_bytes()[:-40])


def fifo(ca: Ca) -> None:
    ca.snapshot.unlink()
    os.mkfifo(ca.snapshot)


def hexadecimal(ca: Ca, *texts: str) -> None:
    ca.configure(snapshot={"columns": {"serial": {"encoding": "hex"}}})
    ca.export(serial=pa.array(texts))


def csv(ca: Ca, text: str) -> None:
    ca.configure(
        snapshot={
            "path": "snapshot.csv",
            "as_of": ca.now,
            "columns": {"serial": {"encoding": "hex"}},
        }
    )
    (ca.folder / "snapshot.csv").write_text(text)


def two_files(ca: Ca) -> None:
    (ca.folder / "day").mkdir()
    ca.configure(snapshot={"path": "day"})
    ca.export(to="day/1.parquet")
    ca.export(to="day/2.parquet", as_of=ca.now - timedelta(minutes=1), serial=octets(4, 5, 6))


def without_as_of(ca: Ca) -> None:
    pq.write_table(pq.read_table(ca.snapshot).replace_schema_metadata({}), ca.snapshot)


def serials(*values: bytes | None) -> "pa.Array[pa.Scalar[pa.DataType]]":
    return pa.array(values, pa.binary())


LATE = timedelta(minutes=5, seconds=1)
FAULTS = [
    Fault("missing file", lambda ca: ca.snapshot.unlink(), "file.missing", "export it"),
    Fault("no file in a folder", lambda ca: ca.configure(snapshot={"path": "spool"}), "file.missing", "export it"),
    Fault("unreadable file", fifo, "file.unreadable", "export the snapshot to a file"),
    Fault("truncated file", cut, "file.damaged", "export it again"),
    Fault("empty file", lambda ca: ca.snapshot.write_bytes(b""), "file.empty", "export it again"),
    Fault("another format", lambda ca: ca.snapshot.write_bytes(b"<xml/> 12345"), "file.format", "export it as Parquet"),
    Fault("damaged CSV", lambda ca: csv(ca, "serial,status\n11,good\n12\n"), "file.damaged", "export it again"),
    Fault("CSV without its end", lambda ca: csv(ca, "serial,status\n11,good\n12,go"), "file.truncated", "cut off"),
    Fault("no path", lambda ca: ca.configure(snapshot={"path": ""}), "snapshot.no-path", "--snapshot PATH"),
    Fault("no column of serials", lambda ca: ca.export(serial=None), "column.missing", "name the right column"),
    Fault(
        "column that is not there",
        lambda ca: ca.configure(snapshot={"columns": {"status": "STATE"}}),
        "column.missing",
        "columns here: 'serial', 'status'",
    ),
    Fault("neither status nor time", lambda ca: ca.export(status=None, revoked_at=None), "column.missing", "Export it"),
    Fault("type of serial", lambda ca: ca.export(serial=pa.array([1, 2, 3])), "column.type", '"decimal"'),
    Fault("type of status", lambda ca: ca.export(status=pa.array([0.0, 1.0, 2.0])), "column.type", "integers or text"),
    Fault(
        "time without a zone",
        lambda ca: ca.export(revoked_at=pa.array([None, ca.now.replace(tzinfo=None), None], pa.timestamp("ms"))),
        "column.naive",
        "convert it to UTC in the export",
    ),
    Fault(
        "text of a time without a zone",
        lambda ca: csv(ca, "serial,status,revoked_at\n11,revoked,2026-01-01T00:00:00\n"),
        "row.time.not-utc",
        "append Z",
    ),
    Fault(
        "no time",
        lambda ca: csv(ca, "serial,status,revoked_at\n11,revoked,yesterday\n"),
        "row.time.malformed",
        "write RFC 3339",
    ),
    Fault("null serial", lambda ca: ca.export(serial=serials(b"\1", None, b"\3")), "row.serial.null", "excluded"),
    Fault("empty serial", lambda ca: ca.export(serial=serials(b"\1", b"", b"\3")), "row.serial.empty", "excluded"),
    Fault(
        "serial too long",
        lambda ca: ca.export(serial=serials(b"\1", b"\1" * 22, b"\3")),
        "row.serial.too-long",
        "21 octets",
    ),
    Fault(
        "serial not hex", lambda ca: hexadecimal(ca, "11", "12xy", "13"), "row.serial.not-hex", 'encoding = "decimal"'
    ),
    Fault(
        "serial not minimal",
        lambda ca: ca.export(serial=serials(b"\1", b"\0\2", b"\3")),
        "row.serial.not-minimal",
        'serial.encoding = "unsigned-binary"',
    ),
    Fault(
        "unknown status",
        lambda ca: ca.export(status=pa.array([0, 1, 7], pa.uint8())),
        "row.status.unknown",
        "(7): map them",
    ),
    Fault(
        "reason 7",
        lambda ca: ca.export(reason=pa.array([None, 7, None], pa.int8())),
        "row.reason.unknown",
        "7 is unused",
    ),
    Fault(
        "reason 8",
        lambda ca: ca.export(reason=pa.array([None, 8, None], pa.int8())),
        "row.reason.unknown",
        "8, removeFromCRL",
    ),
    Fault(
        "revoked without a time",
        lambda ca: ca.export(revoked_at=instants(None, None, None)),
        "row.revoked.no-time",
        "export when",
    ),
    Fault(
        "revoked after as_of",
        lambda ca: ca.export(revoked_at=instants(None, ca.now + LATE, None)),
        "row.revoked.after-as-of",
        "as if they were UTC",
    ),
    Fault(
        "revoked and good",
        lambda ca: ca.export(serial=octets(SERIALS[0], SERIALS[0], SERIALS[2])),
        "row.conflict",
        "decide at the source",
    ),
    Fault(
        "issuer that is not configured",
        lambda ca: ca.export(issuer=pa.array(["r1", "r2", "r1"])),
        "row.issuer.unknown",
        "add [[issuer]]",
    ),
    Fault(
        "zero rows",
        lambda ca: pq.write_table(pq.read_table(ca.snapshot).slice(0, 0), ca.snapshot),
        "snapshot.no-rows",
        "look whether the export worked",
    ),
    Fault("no as_of", without_as_of, "as-of.missing", "give --as-of"),
    Fault("several as_of", two_files, "as-of.differs", "export them together, or give --as-of"),
    Fault("as_of in the future", lambda ca: ca.export(as_of=ca.now + timedelta(hours=1)), "as-of.future", "the clock"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_bad_snapshot_is_refused_and_the_current_generation_stays(ca: Ca, pregen: Program, fault: Fault) -> None:
    before = ca.stored()
    fault.make(ca)

    for command in ("run", "check"):
        ended = pregen(command, ca.config, "--json")

        assert ended.code == 3, ended.err
        assert ended.error["code"] == "input"
        findings = ended.error["findings"]
        assert isinstance(findings, list)
        assert [one["code"] for one in findings if one["severity"] == "error"] == [fault.finding]
        assert fault.advice in findings[0]["message"]
        assert ended.err.startswith(f"error: {ended.error['message']}\n")
        assert f"error {fault.finding}: {findings[0]['message']}" in ended.err
        places = "\n".join([findings[0]["message"], *findings[0]["examples"]])
        assert re.search(rf"{ca.folder}/|--snapshot|--as-of|as_of", places), "it says where"
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
            serial=serials(*serial),
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
    assert "or use profile lab" in ended.err
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
    for reader_min, duty in ((1, "publisher"), (2, "reader")):
        newer = commits.Commit(
            number=head.commit.number + 1,
            parent=None,
            publisher="ab" * 16,
            as_of=head.commit.as_of,
            started_at=head.commit.started_at,
            manifest=head.commit.manifest,
            reader_min=reader_min,
            writer_min=2,
        )
        store.put(commits.commit_name(newer.number), commits.encode_commit(newer))
        before = ca.stored()

        for command in ("run", "check"):
            ended = pregen(command, ca.config, "--json")
            assert (ended.code, ended.error["code"]) == (5, "storage")
            assert f"commit 2 needs a {duty} of format version 2" in ended.err
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
    dropped = pregen("run", second.config, "--drop-issuer", "r1", "--json")
    assert (dropped.code, dropped.document["commit"]) == (0, 2)
    ask = ("--serial", f"{REVOKED:x}", "--issuer")
    assert pregen("lookup", ca.store, *ask, second.pem).code == 0
    assert pregen("lookup", ca.store, *ask, ca.pem).code == 4
    idle = pregen("run", second.config, "--drop-issuer", "r1")
    assert idle.code == 0
    assert "nothing to drop by that name" in idle.err
