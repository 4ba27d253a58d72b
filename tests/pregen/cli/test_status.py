"""`pregen status`: one line for monitoring, and an exit code that it knows."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tests.pki import DAY, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Column, Outcome, Program, Value, instants, octets

LINE = re.compile(r"PREGEN (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \|( '[^'=|]+'=-?[0-9]+s?(;[0-9:.]*){0,4})+)?\n")
HOUR = timedelta(hours=1)


def figures(ended: Outcome) -> dict[str, str]:
    return dict(re.findall(r"'([^']+)'=(\S+)", ended.out.partition("|")[2]))


def state(ended: Outcome) -> tuple[int, str]:
    found = LINE.fullmatch(ended.out)
    assert found, ended.out
    return ended.code, found[1]


@pytest.fixture
def lab(ca: Ca, pregen: Program) -> Callable[..., None]:
    """Publish under `lab` as if so much time had passed since."""

    def publish(ago: timedelta, not_after: "Column | None" = None, **changes: Value) -> None:
        then = ca.now - ago
        ca.responder = make_responder(ca.issuer, not_before=then - DAY, not_after=ca.now + 60 * DAY)
        ca.responder.write(ca.folder, "ocsp")
        ca.configure(validity={"profile": "lab", "lifetime": "4d", **changes})
        ca.export(as_of=then, not_after=not_after)
        ended = pregen("run", ca.config, "--now", f"{then:%Y-%m-%dT%H:%M:%SZ}")
        assert ended.code == 0, ended.err

    return publish


def test_answers_that_hold_are_ok_with_figures(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)

    ended = pregen("status", ca.store)

    assert state(ended) == (0, "OK")
    assert ended.err == ""
    assert "answers of r1 hold until " in ended.out
    assert "; commit 1, as of " in ended.out
    found = figures(ended)
    assert re.fullmatch(r"3[0-9]{5}s;43200:;14400:", found["holds"])
    assert found["r1 holds"] == found["holds"]
    assert (found["issuers"], found["expired"], found["overdue"]) == ("1;;;0", "0;;0;0;1", "0;0;;0;1")
    assert {"refresh", "as_of_age", "responder_certificate", "issuer_certificate"} <= found.keys()


@pytest.mark.parametrize(
    ("ago", "options", "code", "word"),
    [
        (47 * HOUR, (), 0, "OK"),
        (49 * HOUR, (), 1, "overdue since"),
        (83 * HOUR, (), 1, "overdue since"),
        (85 * HOUR, (), 1, "hold until"),
        (93 * HOUR, (), 2, "hold until"),
        (97 * HOUR, (), 2, "have run out"),
        (47 * HOUR, ("--warn", "3d"), 1, "hold until"),
        (47 * HOUR, ("--warn", "3d", "--crit", "50h"), 2, "hold until"),
    ],
)
def test_what_is_overdue_or_runs_out(
    ca: Ca, pregen: Program, lab: Callable[..., None], ago: timedelta, options: tuple[str, ...], code: int, word: str
) -> None:
    lab(ago)

    ended = pregen("status", ca.store, *options)

    assert state(ended) == (code, ("OK", "WARNING", "CRITICAL")[code])
    assert word in ended.out


def test_the_json_says_all_of_it_by_issuer(ca: Ca, pregen: Program, lab: Callable[..., None]) -> None:
    lab(49 * HOUR)

    ended = pregen("status", "--config", ca.config, "--json")

    assert ended.code == 1
    document = ended.document
    assert (document["state"], document["commit"]) == ("warning", 1)
    issuers, problems = document["issuers"], document["problems"]
    assert isinstance(issuers, list)
    assert isinstance(problems, list)
    (issuer,) = issuers
    assert (issuer["name"], issuer["state"], issuer["is_overdue"]) == ("r1", "overdue", True)
    assert issuer["holds_until"] == f"{ca.now + 47 * HOUR - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    assert issuer["responder_certificate_ends"] == f"{ca.responder.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert issuer["certificate_ends"] == f"{ca.issuer.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    (problem,) = problems
    assert (problem["level"], problem["issuer"]) == ("warning", "r1")


def test_the_worst_issuer_counts(ca: Ca, pregen: Program) -> None:
    """Two issuers with windows of their own: one of them runs out long before the other."""
    make_issuer("R2", not_before=ca.now - DAY, not_after=ca.now + 365 * DAY).write(ca.folder, "r2")
    ca.configure(
        {"name": "r|2\n'x'", "certificate": "r2.pem", "key": "r2.key", "validity": {"lifetime": "3h"}},
        validity={"profile": "lab", "lifetime": "4d"},
    )
    ca.export(
        serial=octets(1, 2),
        status=pa.array([0, 0], pa.uint8()),
        revoked_at=instants(None, None),
        reason=pa.array([None, None], pa.int8()),
        issuer=pa.array(["r1", "r|2\n'x'"]),
    )
    assert pregen("run", ca.config).code == 0

    ended = pregen("status", ca.store)

    assert state(ended) == (2, "CRITICAL")
    assert "answers of r/2 'x' hold until" in ended.out
    assert figures(ended)["r1 holds"].startswith("3")
    assert "'r/2 _x_ holds'=10" in ended.out


@pytest.mark.parametrize(("days", "code"), [(15, 0), (13, 1)])
@pytest.mark.parametrize("whose", ["responder", "issuer"])
def test_a_certificate_that_ends_within_14_days_is_a_warning(
    ca: Ca, pregen: Program, days: int, code: int, whose: str
) -> None:
    end = ca.now + days * DAY
    if whose == "issuer":
        ca.issuer = make_issuer(not_before=ca.now - DAY, not_after=end)
        ca.issuer.write(ca.folder, "issuer")
    later = ca.now + 30 * DAY if whose == "issuer" else end
    make_responder(ca.issuer, not_before=ca.now - timedelta(hours=2), not_after=later).write(ca.folder, "ocsp")
    assert pregen("run", ca.config).code == 0

    ended = pregen("status", ca.store)

    assert ended.code == code
    name = "the responder certificate of r1 ends at" if whose == "responder" else "the certificate of r1 ends at"
    assert (name in ended.out) is bool(code)


def test_an_empty_or_damaged_store_is_critical(ca: Ca, pregen: Program) -> None:
    empty = pregen("status", ca.store)
    assert (state(empty), empty.err) == ((2, "CRITICAL"), "")
    assert "nothing is published" in empty.out

    pregen("run", ca.config)
    (tables,) = (ca.store / "tables").iterdir()
    octets = tables.read_bytes()
    tables.write_bytes(octets[:-1] + b"x")
    assert state(pregen("status", ca.store)) == (2, "CRITICAL")
    tables.unlink()
    assert state(pregen("status", ca.store)) == (2, "CRITICAL")
    tables.write_bytes(octets)
    assert pregen("status", ca.store).code == 0


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("STORE", "--warn", "soon"),
        ("STORE", "--warn", "1h", "--crit", "2h"),
        ("STORE", "--bogus"),
        ("ftp://host/x",),
        ("--config", "nowhere.toml"),
        ("STORE", "--config", "nowhere.toml"),
    ],
    ids=" ".join,
)
def test_whatever_is_wrong_with_the_call_is_unknown(words: tuple[str, ...], tmp_path: Path, pregen: Program) -> None:
    given = [str(tmp_path) if word == "STORE" else word for word in words]

    ended = pregen("status", *given)

    assert state(ended) == (3, "UNKNOWN")
    assert ended.err.startswith("error: ")
    told = pregen("status", *given, "--json")
    assert told.code == 3
    assert told.error["message"]


def test_a_store_that_cannot_be_reached_is_unknown(pregen: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert state(pregen("status", "s3://bucket/ocsp")) == (3, "UNKNOWN")


def test_answers_that_end_with_their_certificates_are_no_problem(
    ca: Ca, pregen: Program, lab: Callable[..., None]
) -> None:
    """All certificates have ended an hour ago, and a newer answer is due tomorrow."""
    lab(24 * HOUR, instants(*[ca.now - HOUR] * 3), end_with_certificate=True)

    ended = pregen("status", ca.store)

    assert state(ended) == (0, "OK")
    assert "answers of r1 end with their certificates" in ended.out
