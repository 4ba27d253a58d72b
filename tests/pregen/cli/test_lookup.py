from datetime import timedelta

import pytest
from cryptography.x509 import ocsp

from tests.pki import make_issuer
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, UNKNOWN, Ca, Program, instants, octets

NEGATIVE = -0x80


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize(("serial", "status"), [(GOOD, "good"), (REVOKED, "revoked"), (UNKNOWN, "unknown")])
def test_a_lookup_by_serial_finds_the_signed_status(
    ca: Ca, pregen: Program, hash_name: str, serial: int, status: str
) -> None:
    pregen("run", ca.config)
    out = ca.folder / "answer.der"

    ended = pregen(
        *("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--hash", hash_name),
        *("--out", out, "--json"),
    )

    assert (ended.code, ended.err) == (0, "")
    found = ended.document
    assert (found["serial"], found["hash"], found["status"]) == (f"{serial:x}", hash_name, status)
    assert (found["state"], found["commit"], found["out"]) == ("current", 1, str(out))
    assert found["bytes"] == out.stat().st_size
    response = ocsp.load_der_ocsp_response(out.read_bytes())
    assert response.serial_number == serial
    assert response.certificate_status.name == status.upper()
    assert response.hash_algorithm.name == hash_name


def test_a_lookup_says_when_and_why_a_certificate_was_revoked(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    ask = ("lookup", ca.store, "--issuer", ca.pem, "--serial")

    revoked, good = (pregen(*ask, f"{serial:x}", "--json").document for serial in (REVOKED, GOOD))

    assert revoked["revoked_at"] == f"{ca.now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert (revoked["reason"], good["revoked_at"], good["reason"]) == ("keyCompromise", None, None)
    assert "keyCompromise" in pregen(*ask, f"{REVOKED:x}").out
    assert "revoked" not in pregen(*ask, f"{GOOD:x}").out


def test_a_lookup_by_certificate_takes_its_serial(ca: Ca, pregen: Program) -> None:
    server = make_issuer("server", parent=ca.issuer, ca=None, uses=("digital_signature",))
    server.write(ca.folder, "server")
    ca.export(serial=octets(server.certificate.serial_number, REVOKED, UNKNOWN))
    pregen("run", ca.config)

    ended = pregen("lookup", ca.store, "--issuer", ca.pem, "--cert", ca.folder / "server.pem", "--json")

    assert ended.document["serial"] == f"{server.certificate.serial_number:x}"
    assert ended.document["status"] == "good"
    der = ca.folder / "server.der"
    der.write_bytes(server.der)
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--cert", der).code == 0


@pytest.mark.parametrize("text", ["-80", "-0x80", "-00:80"])
def test_a_negative_serial_has_a_sign(ca: Ca, pregen: Program, text: str) -> None:
    ca.export(serial=octets(NEGATIVE, REVOKED, UNKNOWN))
    pregen("run", ca.config)

    ended = pregen("lookup", ca.store, "--issuer", ca.pem, f"--serial={text}", "--json")

    assert (ended.code, ended.document["serial"], ended.document["status"]) == (0, "-80", "good")
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", text).code == 0
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", "80").code == 4


@pytest.mark.parametrize("serial", [GOOD, NEGATIVE])
def test_a_combined_response_is_found_and_reported_by_either_hash(ca: Ca, pregen: Program, serial: int) -> None:
    ca.configure(issuer={"cert_ids": "combined"})
    ca.export(serial=octets(serial, REVOKED, UNKNOWN))
    pregen("run", ca.config)
    out, answers = ca.folder / "answer.der", set()

    for hash_name in ("sha1", "sha256"):
        for wanted, status in ((serial, "good"), (REVOKED, "revoked"), (UNKNOWN, "unknown")):
            words = ("--issuer", ca.pem, f"--serial={wanted:x}", "--hash", hash_name, "--out", out, "--json")
            found = pregen("lookup", ca.store, *words).document
            assert (found["hash"], found["status"]) == (hash_name, status)
            assert found["reason"] == ("keyCompromise" if status == "revoked" else None)
            answers.add(out.read_bytes())

    assert len(answers) == 3
    for answer in answers:
        names = [single.hash_algorithm.name for single in ocsp.load_der_ocsp_response(answer).responses]
        assert names == ["sha1", "sha256"]


def test_what_is_not_there_is_exit_code_4(ca: Ca, pregen: Program) -> None:
    other = make_issuer("Another Root")
    other.write(ca.folder, "other")
    ask = ("lookup", ca.store, "--json", "--serial")
    assert pregen(*ask, f"{GOOD:x}", "--issuer", ca.pem).error["code"] == "not-found"
    ca.configure(issuer={"cert_ids": "sha1"})
    pregen("run", ca.config)

    for words in (
        (f"{ABSENT:x}", "--issuer", ca.pem),
        (f"{GOOD:x}", "--issuer", ca.folder / "other.pem"),
        (f"{GOOD:x}", "--issuer", ca.pem, "--hash", "sha256"),
    ):
        ended = pregen(*ask, *words)
        assert ended.code == 4
        assert ended.error["code"] == "not-found"
        assert "an edge answers unauthorized" in ended.err


def test_a_folder_that_cannot_be_written_to_is_named(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    out = ca.folder / "nowhere" / "answer.der"

    ended = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{GOOD:x}", "--out", out)

    assert ended.code == 2
    assert ended.out == ""
    assert f"--out {out}: cannot be written (No such file or directory)" in ended.err


def test_an_answer_that_has_run_out_is_shown_and_said_to_be_expired(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"profile": "lab", "lifetime": "1h"})
    past = ca.now - timedelta(hours=3)
    ca.export(as_of=past)
    assert pregen("run", ca.config, "--now", past.isoformat()).code == 0

    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{GOOD:x}", "--json").document

    assert found["state"] == "expired"


def test_config_stands_in_place_of_store_everywhere(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)

    ask = ("--issuer", ca.pem, "--serial", f"{GOOD:x}")
    assert pregen("lookup", "--config", ca.config, *ask).out == pregen("lookup", ca.store, *ask).out
    assert pregen("inspect", "--config", ca.config).out == pregen("inspect", ca.store.as_uri()).out
    verified = pregen("verify", "--config", ca.config, "--json")
    assert (verified.code, verified.document["trust"]) == (0, "named certificates")


def test_people_see_times_and_the_way_to_look_at_the_answer(ca: Ca, pregen: Program) -> None:
    ca.export(revoked_at=instants(None, ca.now - timedelta(days=1), None))
    pregen("run", ca.config)
    out = ca.folder / "answer.der"

    ended = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{REVOKED:x}", "--out", out)

    assert "status       revoked" in ended.out
    assert f"openssl ocsp -respin {out}" in ended.out
