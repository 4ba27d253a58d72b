"""Urgent changes where there are several issuers, names or keys, and where windows end with their certificates."""

from datetime import timedelta

import pyarrow as pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.pki import DAY, Party, make_issuer, make_key, make_name, make_responder, write_key
from tests.pregen.cli.ca import GOOD, Ca, Program, instants, octets
from tests.pregen.cli.test_holds import certificate
from tests.pregen.cli.test_names_and_keys import two  # noqa: F401 - a fixture
from tests.pregen.cli.two import SECOND, Row, export, second_issuer

HOUR = timedelta(hours=1)
SHARED = 0x4242


def status(ca: Ca, pregen: Program, issuer: str, serial: int) -> object:
    found = pregen("lookup", ca.store, "--issuer", ca.folder / issuer, "--serial", f"{serial:x}", "--json")
    return found.document["status"] if found.code == 0 else None


def test_a_serial_is_revoked_of_the_issuer_that_is_named_and_of_no_other(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    export(ca, [Row(SHARED, "r1"), Row(SHARED, "r2"), Row(GOOD, "r1")])
    assert pregen("run", ca.config).code == 0
    words = ("--issuer", "r2", "--serial", f"{SHARED:x}", "--issuer", "r1", "--serial", f"{GOOD:x}")
    done = pregen("revoke", ca.config, *words, "--json")

    assert done.code == 0, done.err
    assert done.document["changed"] == 2
    assert status(ca, pregen, "other.pem", SHARED) == "revoked"
    assert status(ca, pregen, "issuer.pem", SHARED) == "good"
    assert status(ca, pregen, "issuer.pem", GOOD) == "revoked"
    refused = pregen("revoke", ca.config, "--issuer", "r2", "--serial", f"{GOOD:x}")
    assert refused.code == 3
    assert "of r2" in refused.err


def test_a_certificate_finds_its_issuer_by_itself(ca: Ca, pregen: Program) -> None:
    other = second_issuer(ca)
    export(ca, [Row(SHARED, "r1"), Row(GOOD, "r2")])
    assert pregen("run", ca.config).code == 0
    path = ca.folder / "of-r2.pem"
    path.write_bytes(_issued(ca, other))
    assert pregen("revoke", ca.config, "--cert", path, "--cert", certificate(ca, 0x9999)).code == 0

    assert status(ca, pregen, "other.pem", 0x7777) == "revoked"
    assert status(ca, pregen, "issuer.pem", 0x9999) == "revoked"
    assert status(ca, pregen, "issuer.pem", 0x7777) is None


def _issued(ca: Ca, by: Party) -> bytes:
    builder = x509.CertificateBuilder(by.certificate.subject, make_name("www"), make_key().public_key(), 0x7777)
    builder = builder.not_valid_before(ca.now - HOUR).not_valid_after(ca.now + 90 * DAY)
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_under_both_encodings_of_a_name_a_certificate_is_revoked_by_one_command(
    two: Ca,  # noqa: F811
    pregen: Program,
) -> None:
    assert pregen("run", two.config).code == 0
    done = pregen("revoke", two.config, "--issuer", "r1", "--serial", f"{GOOD:x}", "--json")

    assert done.code == 0, done.err
    assert (done.document["changed"], done.document["responses"]) == (2, 4)
    assert [status(two, pregen, issuer, GOOD) for issuer in ("printable.pem", "utf8.pem")] == ["revoked", "revoked"]
    new = pregen("revoke", two.config, "--issuer", "r1", "--serial", "ffee")
    assert new.code == 3
    assert "serial ffee" in new.err


AGAIN = {**SECOND, "certificate": "again.pem", "responder_certificate": "again-ocsp.pem"}


@pytest.fixture
def rolled(ca: Ca, pregen: Program) -> Ca:
    """A CA that has published two certificates of r1, answered for under its own key and that of r2, of the same name.

    A third one, 0x77, is r2's alone.
    """
    second_issuer(ca)
    ca.profile = "microsoft"  # which knows no rule against holds
    ca.configure({**AGAIN, "also": "r1"})
    again = make_issuer(ca.issuer.certificate.subject, not_before=ca.now - 9 * DAY, not_after=ca.now + 365 * DAY)
    again.write(ca.folder, "again")
    responder = make_responder(again, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
    responder.write(ca.folder, "again-ocsp")
    write_key(ca.folder / "ocsp2.key", responder.key)
    export(ca, [Row(SHARED, "r1"), Row(GOOD, "r1"), Row(0x77, "r2")])
    assert pregen("run", ca.config).code == 0
    assert of_both(ca, pregen, SHARED) == ["good", "good"]
    return ca


def of_both(ca: Ca, pregen: Program, serial: int) -> list[object]:
    return [status(ca, pregen, issuer, serial) for issuer in ("issuer.pem", "again.pem")]


def named(serial: int, issuer: str = "r1") -> tuple[str, ...]:
    return "--issuer", issuer, "--serial", f"{serial:x}"


def test_another_key_that_answers_for_the_same_rows_is_told_as_well(rolled: Ca, pregen: Program) -> None:
    done = pregen("revoke", rolled.config, *named(SHARED), "--json")

    assert done.code == 0, done.err
    assert done.document["changed"] == 2
    assert of_both(rolled, pregen, SHARED) == ["revoked", "revoked"]


@pytest.mark.parametrize("command", ["revoke", "hold", "release", "delta"])
def test_nothing_changes_under_one_key_alone_where_the_configuration_lacks_the_other(
    rolled: Ca, pregen: Program, command: str
) -> None:
    if command == "release":
        assert pregen("hold", rolled.config, *named(SHARED)).code == 0
    before, said = rolled.published(), of_both(rolled, pregen, SHARED)
    rolled.configure()
    rolled.export(
        to="delta.parquet",
        serial=octets(SHARED),
        status=pa.array([1], pa.uint8()),
        revoked_at=instants(rolled.now - HOUR),
        reason=pa.array([None], pa.int8()),
        not_after=instants(rolled.now + 30 * DAY),
    )
    words = (rolled.folder / "delta.parquet",) if command == "delta" else named(SHARED)

    ended = pregen(command, rolled.config, *words, "--json")

    assert ended.code == 3, ended.err
    assert "issuer.further-key" in ended.err
    assert f"{SHARED:x} under r2" in ended.err
    assert "--drop-issuer r2" in ended.err
    assert rolled.published() == before
    assert of_both(rolled, pregen, SHARED) == said
    new = pregen("revoke", rolled.config, "--cert", certificate(rolled, 0x9999))
    assert new.code == 0, "what the other key has no answer for is changed all the same"


def test_a_key_whose_section_answers_for_its_own_rows_alone_is_told_of(rolled: Ca, pregen: Program) -> None:
    rolled.configure(AGAIN)

    done = pregen("revoke", rolled.config, *named(SHARED), "--json")

    assert done.code == 0, done.err
    findings: list[dict[str, object]] = done.document["findings"]  # type: ignore[assignment]
    assert [(one["code"], one["severity"]) for one in findings] == [("issuer.further-key", "warning")]
    assert pregen("revoke", rolled.config, *named(SHARED, "r2"), "--json").code == 0
    assert of_both(rolled, pregen, SHARED) == ["revoked", "revoked"]
    own = pregen("revoke", rolled.config, *named(0x77, "r2"), "--json")
    assert (own.code, "findings" in own.document) == (0, False), own.out


@pytest.mark.parametrize("trouble", ["gone", "garbage"])
def test_a_section_whose_certificate_cannot_be_read_stops_no_revocation_of_another(
    rolled: Ca, pregen: Program, trouble: str
) -> None:
    rolled.configure(AGAIN)
    if trouble == "gone":
        (rolled.folder / "again.pem").rename(rolled.folder / "away.pem")
    else:
        (rolled.folder / "away.pem").write_bytes((rolled.folder / "again.pem").read_bytes())
        (rolled.folder / "again.pem").write_bytes(b"no certificate")

    done = pregen("revoke", rolled.config, *named(SHARED), "--json")

    assert done.code == 0, done.err
    findings: list[dict[str, object]] = done.document["findings"]  # type: ignore[assignment]
    assert [(one["code"], one["severity"]) for one in findings] == [("issuer.further-key", "warning")]
    assert "lacks" not in done.out
    assert [status(rolled, pregen, issuer, SHARED) for issuer in ("issuer.pem", "away.pem")] == ["revoked", "good"]


@pytest.mark.parametrize("left", [2 * HOUR, 20 * HOUR, 3 * DAY, 90 * DAY])
def test_an_urgent_answer_ends_with_its_certificate_where_answers_do(ca: Ca, pregen: Program, left: timedelta) -> None:
    ca.configure(validity={"end_with_certificate": True})
    ca.export(
        serial=octets(GOOD, SHARED),
        status=pa.array([0, 0], pa.uint8()),
        revoked_at=instants(None, None),
        reason=pa.array([None, None], pa.int8()),
        not_after=instants(ca.now + left, ca.now + 80 * DAY),
    )
    assert pregen("run", ca.config).code == 0
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").code == 0

    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{GOOD:x}", "--json").document
    assert found["status"] == "revoked"
    assert str(found["next_update"]) <= f"{ca.now + left:%Y-%m-%dT%H:%M:%SZ}" or left > 4 * DAY


@pytest.mark.parametrize("command", ["revoke", "delta"])
def test_nothing_is_revoked_under_one_of_two_names_alone(
    two: Ca,  # noqa: F811 - the fixture
    pregen: Program,
    command: str,
) -> None:
    assert pregen("run", two.config).code == 0
    before = two.published()
    two.configure(issuer={"certificate": "printable.pem", "responder_certificate": "ocsp-printable.pem"})

    two.export(
        to="delta.parquet", status=pa.array([1, 1, 2], pa.uint8()), revoked_at=instants(*[two.now - HOUR] * 2, None)
    )
    words = ("--issuer", "r1", "--serial", f"{GOOD:x}") if command == "revoke" else (two.folder / "delta.parquet",)

    ended = pregen(command, two.config, *words)

    assert ended.code == 3, ended.err
    assert "issuer.further-name" in ended.err
    assert two.published() == before
    assert status(two, pregen, "utf8.pem", GOOD) == "good"
