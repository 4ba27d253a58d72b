"""`pregen hold` and `release`, and certificates that are named by `--cert`: what is new, on hold, or final."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.pki import DAY, Party, make_issuer, make_key, make_name
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, UNKNOWN, Ca, Outcome, Program


@pytest.fixture
def ca(ca: Ca, pregen: Program) -> Ca:
    """A CA under a profile that allows holds, which has published what it has issued."""
    ca.configure(validity={"profile": "lab"})
    assert pregen("run", ca.config).code == 0
    return ca


def certificate(ca: Ca, serial: int, *, signer: Party | None = None, is_ca: bool = False) -> Path:
    """Write a certificate that an issuer has issued, without having told anybody."""
    by = signer or ca.issuer
    builder = x509.CertificateBuilder(ca.issuer.certificate.subject, make_name("www"), make_key().public_key(), serial)
    builder = builder.not_valid_before(ca.now - timedelta(minutes=5)).not_valid_after(ca.now + 90 * DAY)
    if is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    path = ca.folder / f"{serial:x}.pem"
    path.write_bytes(builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


def by_serial(ca: Ca, pregen: Program, command: str, serial: int, *words: object) -> Outcome:
    return pregen(command, ca.config, "--issuer", "r1", "--serial", f"{serial:x}", *words)


def status(ca: Ca, pregen: Program, serial: int) -> tuple[object, object]:
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
    return (found.document["status"], found.document.get("reason")) if found.code == 0 else ("unauthorized", None)


def test_a_certificate_that_no_snapshot_has_had_is_revoked_by_its_file(ca: Ca, pregen: Program) -> None:
    path = certificate(ca, ABSENT)
    assert status(ca, pregen, ABSENT)[0] == "unauthorized"
    done = pregen("revoke", ca.config, "--cert", path, "--reason", "keyCompromise", "--json")

    assert done.code == 0, done.err
    assert (done.document["new"], done.document["changed"]) == (1, 1)
    assert status(ca, pregen, ABSENT) == ("revoked", "keyCompromise")
    again = by_serial(ca, pregen, "revoke", ABSENT, "--json")  # from now on it is known by its number, too
    assert (again.code, again.document["unchanged"]) == (0, 1)


def test_a_certificate_that_is_named_twice_counts_once(ca: Ca, pregen: Program) -> None:
    path = certificate(ca, GOOD)
    words = ("--cert", path, "--cert", path, "--issuer", "r1", "--serial", f"{GOOD:x}")
    done = pregen("revoke", ca.config, *words, "--json")

    assert done.code == 0, done.err
    assert done.document["certificates"] == done.document["changed"] == 1


def test_a_certificate_of_nobody_here_is_refused(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    namesake = make_issuer(not_before=ca.now - DAY, not_after=ca.now + DAY)
    stranger = make_issuer("Another Root", not_before=ca.now - DAY, not_after=ca.now + DAY)
    stranger.write(ca.folder, "stranger")

    for path, says in (
        (certificate(ca, ABSENT, signer=namesake), "whose key has not signed it"),
        (ca.folder / "stranger.pem", "no [[issuer]] has signed it"),
    ):
        refused = pregen("revoke", ca.config, "--cert", path)
        assert refused.code == 2
        assert says in refused.err
    chain = ca.folder / "chain.pem"
    chain.write_bytes(certificate(ca, GOOD).read_bytes() + ca.pem.read_bytes())
    assert "holds 2 certificates" in pregen("revoke", ca.config, "--cert", chain).err
    assert pregen("revoke", ca.config, "--cert", ca.folder / "missing.pem").code == 2
    assert ca.stored() == before


def test_what_a_certificate_is_decides_which_reasons_it_may_have(ca: Ca, pregen: Program) -> None:
    ca.configure()
    of_ca, of_server = certificate(ca, 0x4444, is_ca=True), certificate(ca, 0x5555)
    missing = pregen("revoke", ca.config, "--cert", of_ca)
    assert missing.code == 3
    assert "row.reason.missing" in missing.err
    assert pregen("revoke", ca.config, "--cert", of_server, "--reason", "cACompromise").code == 3
    assert pregen("revoke", ca.config, "--cert", of_ca, "--reason", "cACompromise").code == 0
    assert status(ca, pregen, 0x4444) == ("revoked", "cACompromise")


def test_a_hold_begins_and_ends(ca: Ca, pregen: Program) -> None:
    assert by_serial(ca, pregen, "hold", GOOD).code == 0
    assert status(ca, pregen, GOOD) == ("revoked", "certificateHold")
    before = ca.stored()
    assert by_serial(ca, pregen, "hold", GOOD).code == 0
    assert ca.stored() == before

    assert by_serial(ca, pregen, "release", GOOD).code == 0
    assert status(ca, pregen, GOOD) == ("good", None)
    before = ca.stored()
    assert by_serial(ca, pregen, "release", GOOD).code == 0
    assert ca.stored() == before


def test_revoke_makes_a_hold_final(ca: Ca, pregen: Program) -> None:
    assert by_serial(ca, pregen, "hold", GOOD).code == 0
    assert by_serial(ca, pregen, "revoke", GOOD, "--reason", "superseded").code == 0
    assert status(ca, pregen, GOOD) == ("revoked", "superseded")

    for command in ("release", "hold"):
        refused = by_serial(ca, pregen, command, GOOD)
        assert refused.code == 3
        assert "error certificate.revoked" in refused.err
    assert status(ca, pregen, GOOD) == ("revoked", "superseded")


@pytest.mark.parametrize("command", ["hold", "release"])
def test_what_is_revoked_in_the_snapshot_is_neither_held_nor_released(ca: Ca, pregen: Program, command: str) -> None:
    before = ca.stored()
    refused = by_serial(ca, pregen, command, REVOKED)

    assert refused.code == 3
    assert "error certificate.revoked" in refused.err
    assert by_serial(ca, pregen, command, ABSENT).code == 3
    assert ca.stored() == before


def test_a_hold_is_refused_where_the_profile_allows_none(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    ca.configure(validity={"profile": "strict"})
    refused = by_serial(ca, pregen, "hold", UNKNOWN)

    assert refused.code == 3
    assert "row.reason.hold" in refused.err
    assert ca.stored() == before
    assert by_serial(ca, pregen, "release", UNKNOWN).code == 0  # which a change of profile must not prevent
    assert ca.stored() == before
