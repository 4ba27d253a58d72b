"""Whether a certificate was asked for: by files and by imports, whoever names it, and whether the logs can tell."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from tests.pki import make_issuer
from tests.pregen.cli.ca import Ca, Outcome, Program
from tests.pregen.logs.written import ISSUER, NAME, Writer, a_day, write

ASKED, NOT_ASKED, UNKNOWN = 0, 9, 10


@dataclass
class Logs:
    """Logs as files, or as an import of them."""

    folder: Path
    pregen: Program
    are_imported: bool

    def ask(self, lines: list[str], *words: object, issuer: str | Path = ISSUER) -> Outcome:
        path = write(self.folder / f"log{len(list(self.folder.iterdir()))}", lines)
        if self.are_imported:
            out = path.with_suffix(".imported")
            assert self.pregen("logs", "import", path, "--out", out).code == 0
            path = out
        by = ("--issuer", issuer) if "--cert" not in words else ()
        return self.pregen("asked", path, *by, *words, "--json")


def rows(member: object) -> list[dict[str, str]]:
    """Return the rows of a member of the document."""
    assert isinstance(member, list)
    return member


@pytest.fixture(params=["files", "import"])
def logs(tmp_path: Path, pregen: Program, request: pytest.FixtureRequest) -> Logs:
    (tmp_path / "logs").mkdir()
    return Logs(tmp_path / "logs", pregen, request.param == "import")


def test_what_was_asked_for_is_told_with_when_how_often_by_whom_and_what_was_said(logs: Logs) -> None:
    worker = a_day("AB".lower())
    worker.asks(700, "ab", remote="192.0.2.9", status="revoked", generation=8)
    worker.asks(86_400 + 5, "ab", outcome="not-stored", status=None, ocsp="unauthorized", weight=1)

    ended = logs.ask(worker.lines, "--serial", "00:AB")

    found = ended.document
    assert ended.code == ASKED
    assert (found["verdict"], found["requests"], found["clients"]) == ("asked", 3, 2)
    assert (found["first"], found["last"]) == ("2026-12-01T00:01:40Z", "2026-12-02T00:00:05Z")
    assert found["days"] == {"2026-12-01": 2, "2026-12-02": 1}
    good = {"outcome": "answered", "status": "good", "ocsp": "successful", "http": 200, "generation": 7, "requests": 1}
    said = rows(found["said"])
    assert good in said
    assert sorted((one["outcome"], one["status"] or "") for one in said) == [
        ("answered", "good"),
        ("answered", "revoked"),
        ("not-stored", ""),
    ]


def test_what_a_whole_log_does_not_have_was_not_asked_for(logs: Logs) -> None:
    ended = logs.ask(a_day().lines, "--serial", "ac")

    assert (ended.code, ended.document["verdict"], ended.document["missing"]) == (NOT_ASKED, "not-asked", [])
    assert (ended.document["from"], ended.document["to"]) == ("2026-12-01T00:00:00Z", "2026-12-01T00:10:00Z")
    assert (ended.document["whole_from"], ended.document["whole_to"]) == (ended.document["from"], ended.document["to"])
    assert ended.document["edges"] == ["edge-1"]


@pytest.mark.parametrize(
    ("lines", "words", "codes"),
    [
        (a_day().lines, ["--behind-cache"], []),
        (a_day().lines, ["--to", "2026-12-01T00:10:01Z"], ["no-log"]),
        (a_day().lines, ["--from", "2026-11-30T23:59:59Z"], ["no-log"]),
        (a_day().lines[:50] + a_day().lines[51:], [], ["lines-missing"]),
        (a_day().lines[:-1], ["--to", "2026-12-01T00:10:01Z"], ["no-log", "unfinished"]),
        (a_day().lines, ["--from", "2026-12-02T00:00:00Z"], ["no-log"]),
        (a_day().lines, ["--to", "2026-11-30T00:00:00Z"], ["no-log"]),
        (a_day().lines[:-5], [], ["no-log", "unfinished"]),
        (a_day().lines[5:], [], ["lines-missing"]),
        (
            [line.replace(', "worker": "0a1b2c3d"', "") for line in Writer().asks(1).lines],
            [],
            ["no-counters", "no-log"],
        ),
        ([*a_day().lines, *Writer("bbbbbbbb").asks(5).lines], [], ["unfinished"]),
    ],
    ids=[
        "a cache",
        "over the end",
        "over the start",
        "a line",
        "a tail",
        "later",
        "earlier",
        "a log that is cut",
        "a log that begins",
        "an old log",
        "a worker without counters",
    ],
)
def test_where_the_log_is_not_whole_it_cannot_be_known_and_what_is_missing_is_said(
    logs: Logs, lines: list[str], words: list[str], codes: list[str]
) -> None:
    ended = logs.ask(lines, "--serial", "ac", *words)

    assert (ended.code, ended.document["verdict"]) == (UNKNOWN, "unknown")
    assert sorted(one["code"] for one in rows(ended.document["missing"])) == codes


def test_an_interval_that_is_whole_is_known_whatever_is_missing_around_it(logs: Logs) -> None:
    lines = a_day().lines
    hole = lines[:50] + lines[60:]

    within = ("--from", "2026-12-01T00:02:00Z", "--to", "2026-12-01T00:09:30Z")

    assert logs.ask(hole, "--serial", "ac", *within).code == NOT_ASKED
    assert logs.ask(hole, "--serial", "ab", *within).code == NOT_ASKED  # a minute and forty seconds after the start
    assert logs.ask(hole, "--serial", "ab").code == ASKED


def test_lines_that_stand_for_several_requests_are_said_to_be_an_estimate(logs: Logs) -> None:
    worker = Writer(sample=100).counts(0).asks(1, "ab", weight=100).asks(2, "ab", weight=100)
    worker.requests, worker.sampled_out = 200, 198
    worker.counts(60, is_end=True)

    asked, other = (logs.ask(worker.lines, "--serial", serial) for serial in ("ab", "ac"))

    assert (asked.code, asked.document["requests"], asked.document["lines"]) == (ASKED, 200, 2)
    assert asked.document["is_estimate"] is True
    assert (other.code, [one["code"] for one in rows(other.document["missing"])]) == (UNKNOWN, ["sampled"])


def test_requests_that_name_the_issuer_by_a_hash_that_nobody_can_compute_may_be_about_it(logs: Logs) -> None:
    worker = Writer().counts(0).asks(1, "ab", hash="1.2.3.4", issuer_name_hash="aa", issuer_key_hash="bb")
    worker.asks(2, "ac", issuer_key_hash="00" * 20).counts(60, is_end=True)

    unknown, other = (logs.ask(worker.lines, "--serial", serial) for serial in ("ab", "ac"))

    assert (unknown.code, unknown.document["undecided"]) == (UNKNOWN, 1)
    assert (other.code, other.document["undecided"]) == (NOT_ASKED, 0)


def test_requests_that_could_not_be_read_are_counted(logs: Logs) -> None:
    worker = Writer().counts(0).asks(1, None).asks(2, "ac").counts(60, is_end=True)

    ended = logs.ask(worker.lines, "--serial", "ab")

    assert (ended.code, ended.document["unreadable"]) == (NOT_ASKED, 1)


def test_not_asked_for_says_how_many_requests_could_not_be_read(tmp_path: Path, pregen: Program) -> None:
    question = ("--issuer", ISSUER, "--serial", "ab")
    worker = Writer().counts(0).asks(1, None).asks(2, None).counts(60, is_end=True)
    all_read = Writer().counts(0).asks(1, "ac").counts(60, is_end=True)

    said = pregen("asked", write(tmp_path / "some", worker.lines), *question)
    plain = pregen("asked", write(tmp_path / "none", all_read.lines), *question)

    assert (said.code, plain.code) == (NOT_ASKED, NOT_ASKED)
    assert "was not asked for in that time" in said.out
    assert "unless by one of 2 requests that could not be read" in said.out
    assert "could not be read" not in plain.out


def test_a_malformed_request_that_names_the_certificate_has_asked_for_it(logs: Logs) -> None:
    malformed = {"outcome": "malformed", "ocsp": "malformedRequest", "status": None}
    worker = Writer().counts(0).asks(1, "ab", **malformed).counts(60, is_end=True)

    ended = logs.ask(worker.lines, "--serial", "ab")

    assert (ended.code, ended.document["requests"], ended.document["unreadable"]) == (ASKED, 1, 0)


HASHES = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}


def test_an_issuer_is_found_by_file_configuration_store_and_certificate_whatever_the_client_hashes_with(
    logs: Logs, ca: Ca, pregen: Program
) -> None:
    assert pregen("run", ca.config).code == 0
    server = make_issuer("server", parent=ca.issuer, ca=None, uses=("digital_signature",))
    server.write(ca.folder, "server")
    cert, serial = ca.folder / "server.pem", f"{server.certificate.serial_number:x}"
    worker = Writer().counts(0)
    for name, algorithm in HASHES.items():
        request = ocsp.OCSPRequestBuilder().add_certificate(server.certificate, ca.issuer.certificate, algorithm)
        cert_id = request.build()
        by = {"issuer_name_hash": cert_id.issuer_name_hash.hex(), "issuer_key_hash": cert_id.issuer_key_hash.hex()}
        worker.asks(1, serial, hash=name, **by)
    lines = worker.counts(60, is_end=True).lines

    def count(*words: object, issuer: str | Path = ca.pem) -> object:
        return logs.ask(lines, *words, issuer=issuer).document["lines"]

    assert count("--serial", serial) == len(HASHES)
    assert count("--serial", serial, "--config", ca.config, issuer="r1") == len(HASHES)
    assert count("--serial", serial, "--store", ca.store, issuer="r1") == len(HASHES)
    assert count("--cert", cert) == len(HASHES)
    assert count("--cert", cert, "--config", ca.config) == len(HASHES)
    assert logs.ask(lines, "--serial", "ac", issuer=ca.pem).code == NOT_ASKED


def test_of_a_certificate_alone_its_serial_with_another_issuer_s_name_may_be_itself(logs: Logs, ca: Ca) -> None:
    server = make_issuer("server", parent=ca.issuer, ca=None, uses=("digital_signature",))
    server.write(ca.folder, "server")
    lines = Writer().counts(0).asks(1, f"{server.certificate.serial_number:x}").counts(60, is_end=True).lines

    alone = logs.ask(lines, "--cert", ca.folder / "server.pem")
    known = logs.ask(lines, "--cert", ca.folder / "server.pem", "--issuer", ca.pem)

    assert (alone.code, alone.document["undecided"]) == (UNKNOWN, 1)
    assert known.code == NOT_ASKED


def test_a_request_about_the_issuer_s_name_with_another_key_may_be_about_a_certificate_of_its_former_key(
    logs: Logs, ca: Ca
) -> None:
    server = make_issuer("server", parent=ca.issuer, ca=None, uses=("digital_signature",))
    server.write(ca.folder, "server")
    of_former = (
        ocsp.OCSPRequestBuilder().add_certificate(server.certificate, ca.issuer.certificate, hashes.SHA1()).build()
    )
    by = {"issuer_name_hash": of_former.issuer_name_hash.hex(), "issuer_key_hash": "ab" * 20}
    lines = Writer().counts(0).asks(1, f"{server.certificate.serial_number:x}", **by).counts(60, is_end=True).lines

    said = logs.ask(lines, "--cert", ca.folder / "server.pem", "--config", ca.config)

    assert (said.code, said.document["undecided"]) == (UNKNOWN, 1)


def test_a_certificate_of_a_former_key_is_not_taken_for_one_of_the_issuer_s_key_of_today(logs: Logs, ca: Ca) -> None:
    former = make_issuer(ca.issuer.certificate.subject)
    assert former.certificate.subject == ca.issuer.certificate.subject
    server = make_issuer("server", parent=former, ca=None, uses=("digital_signature",))
    server.write(ca.folder, "server")
    asked = ocsp.OCSPRequestBuilder().add_certificate(server.certificate, former.certificate, hashes.SHA1()).build()
    by = {"issuer_name_hash": asked.issuer_name_hash.hex(), "issuer_key_hash": asked.issuer_key_hash.hex()}
    lines = Writer().counts(0).asks(1, f"{server.certificate.serial_number:x}", **by).counts(60, is_end=True).lines
    former.write(ca.folder, "former")
    by_cert = ("--cert", ca.folder / "server.pem")

    for words in (["--config", ca.config], ["--issuer", ca.pem], ["--config", ca.config, "--issuer", "r1"]):
        said = logs.ask(lines, *by_cert, *words)
        assert (said.code, said.document["undecided"]) == (UNKNOWN, 1), words
    assert logs.ask(lines, *by_cert, "--issuer", ca.folder / "former.pem").code == ASKED
    of_another_key = [line.replace(by["issuer_key_hash"], "ab" * 20) for line in lines]
    assert logs.ask(of_another_key, *by_cert, "--issuer", ca.folder / "former.pem").code == NOT_ASKED


@pytest.mark.parametrize(
    "words",
    [
        ["--serial", "ab"],
        ["--issuer", ISSUER],
        ["--issuer", "r1", "--serial", "ab"],
        ["--issuer", f"{NAME}:00", "--serial", "ab"],
        ["--issuer", ISSUER, "--serial", "xyz"],
        ["--issuer", ISSUER, "--serial", "ab", "--from", "2026-12-01"],
        ["--issuer", ISSUER, "--serial", "ab", "--from", "2026-12-01T00:00:00Z", "--to", "2026-12-01T00:00:00Z"],
    ],
)
def test_a_question_that_names_no_certificate_or_no_time_is_refused(
    tmp_path: Path, pregen: Program, words: list[str]
) -> None:
    assert pregen("asked", write(tmp_path / "log", a_day().lines), *words).code == 2


def test_an_import_that_is_damaged_or_not_there_is_no_answer(tmp_path: Path, pregen: Program) -> None:
    out, question = tmp_path / "out", ("--issuer", ISSUER, "--serial", "ac")
    out.mkdir()
    assert pregen("asked", out, *question).code == 4
    pregen("logs", "import", write(tmp_path / "log", a_day().lines), "--out", out)
    assert pregen("asked", out, *question).code == NOT_ASKED
    (parquet,) = out.rglob("*.parquet")
    whole = parquet.read_bytes()

    parquet.write_bytes(whole[:-20])
    assert pregen("asked", out, *question).code == 3
    parquet.unlink()
    assert pregen("asked", out, *question).code == 3


def test_broken_lines_are_shown_with_file_and_number_and_the_answer_stands(tmp_path: Path, pregen: Program) -> None:
    lines = a_day().lines
    path = write(tmp_path / "log", [*lines[:7], '{"time": "20', *lines[7:]])

    ended = pregen("asked", path, "--issuer", ISSUER, "--serial", "ab")

    assert ended.code == ASKED
    assert "logs.line.broken" in ended.err
    assert f'{path}, line 8: {{"time": "20' in ended.err
