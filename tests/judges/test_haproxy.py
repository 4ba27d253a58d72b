"""What HAProxy makes of our responses. docs/clients.md says the same in words."""

import re
from pathlib import Path

import pytest

from pregen.lookup import look_up
from storage.stores import LocalStore
from tests.judges.conftest import Authority, make_authority
from tests.judges.haproxy import haproxy, verdict
from tests.judges.test_nginx import handshake
from tests.storage.edge.processes import wait_until


def response(authority: Authority, hash_name: str) -> bytes:
    """Return the DER of the response for the server's certificate, as `pregen lookup --out` writes it."""
    store, folder = LocalStore(authority.store), authority.folder
    return look_up(
        store, folder / "issuer.pem", cert=folder / "server.pem", serial=None, hash_name=hash_name
    ).answer.der


@pytest.mark.parametrize("algorithm", ["p256-sha256", "rsa2048-sha256", "rsa2048-pss-sha256", "ed25519", "ml-dsa-44"])
def test_haproxy_staples_our_answer_to_a_sha1_cert_id(algorithm: str, tmp_path: Path) -> None:
    authority = make_authority(tmp_path, algorithm, "sha1")
    with haproxy(authority, response(authority, "sha1"), tmp_path) as port:
        issuer = tmp_path / "issuer.pem"
        wait_until(lambda: "OCSP Response Status: successful" in handshake(port, issuer))
        text = handshake(port, issuer)

    assert "Cert Status: good" in text
    assert "Verify return code: 0 (ok)" in text
    serials = {int(digits, 16) for digits in re.findall(r"Serial Number: ([0-9A-F]+)", text)}
    assert authority.server.serial_number in serials


def test_haproxy_accepts_the_sha1_response_of_the_separate_layout(authority: Authority, tmp_path: Path) -> None:
    assert verdict(authority, response(authority, "sha1"), tmp_path) == ""


def test_haproxy_refuses_a_combined_response(combined_authority: Authority, tmp_path: Path) -> None:
    said = verdict(combined_authority, response(combined_authority, "sha1"), tmp_path)

    assert "contains multiple single responses" in said


def test_haproxy_refuses_a_response_about_the_sha256_cert_id_alone(authority: Authority, tmp_path: Path) -> None:
    said = verdict(authority, response(authority, "sha256"), tmp_path)

    assert "Certificate ID does not match" in said


def test_haproxy_refuses_what_has_expired(authority: Authority, tmp_path: Path) -> None:
    der = response(authority, "sha1")
    ends = re.findall(rb"\d{14}Z", der)[-1]  # nextUpdate; HAProxy looks at it and not at the signature

    assert "no longer valid.. Content will be ignored" in verdict(
        authority, der.replace(ends, b"2020" + ends[4:]), tmp_path
    )
