"""The 17 odd responses that cryptography keeps for its own tests, before our own verification."""

from importlib.resources import files

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pregen.errors import VerificationError
from pregen.signers import ALGORITHMS
from pregen.verification import parse_response, verify_signature

READ = {  # status, serial, reason, certificates inside
    "resp-delegate-unknown-cert.der": ("unknown", 0x6372742E73683FADCFCBAEAD410F72BEE1FD3223, None, 1),
    "resp-invalid-signature-oid.der": ("good", 0x31C787A7DC90295007BC5F2220B3B527AF0, None, 0),
    "resp-invalid-version.der": ("good", 0x31C787A7DC90295007BC5F2220B3B527AF0, None, 0),
    "resp-responder-key-hash.der": ("revoked", 0xFA0A21E15C20BBE1D68EA8FE7706635, None, 0),
    "resp-revoked-no-next-update.der": ("revoked", 0x3F20, None, 0),
    "resp-revoked-reason.der": ("revoked", 0x81D8B989E92FAE68956DCE62A893209A1BC24D3, 4, 1),
    "resp-revoked.der": ("revoked", 0x1AF1EFBDD5EAE0952320B24FE6B5568, None, 0),
    "resp-sct-extension.der": ("good", 0x23BF9A6C2BF9A2F0DB5ECB4143CAAB63AD3871D3, None, 1),
    "resp-sha256.der": ("good", 0x31C787A7DC90295007BC5F2220B3B527AF0, None, 0),
    "resp-single-extension-reason.der": ("good", 0x3F20, None, 0),  # its reason is an extension, and not of the status
    "resp-unknown-extension.der": ("revoked", 0x81D8B989E92FAE68956DCE62A893209A1BC24D3, 4, 1),
    "resp-unknown-hash-alg.der": (
        "revoked",
        0xFA0A21E15C20BBE1D68EA8FE7706635,
        None,
        0,
    ),  # asn1crypto knows more hashes
}
SEVERAL = "ocsp-army.deps.mil-resp.der"
REFUSED = (
    "resp-response-type-unknown-oid.der",
    "resp-successful-no-response-bytes.der",
    "resp-unauthorized.der",
    "resp-unknown-response-status.der",
)


def octets(name: str) -> bytes:
    return files("cryptography_vectors").joinpath("x509", "ocsp", name).read_bytes()


def test_every_response_of_the_collection_is_accounted_for() -> None:
    folder = files("cryptography_vectors").joinpath("x509", "ocsp")
    requests = {
        file.name for file in folder.iterdir() if file.name.startswith("req-") or file.name.endswith("-req.der")
    }

    assert {file.name for file in folder.iterdir()} - requests == {*READ, SEVERAL, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_what_is_odd_but_readable_is_read(name: str) -> None:
    parsed = parse_response(octets(name))

    (said,) = parsed.statements
    assert (said.status, said.serial_number, said.reason, parsed.certificate_count) == READ[name]
    assert (said.revoked_at is None) == (said.status != "revoked")
    assert (said.next_update is None) == (name == "resp-revoked-no-next-update.der")


def test_every_entry_of_a_response_with_twenty_is_read() -> None:
    statements = parse_response(octets(SEVERAL)).statements

    assert len({said.serial_number for said in statements}) == 20
    assert {said.status for said in statements} == {"good", "revoked"}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_is_refused(name: str) -> None:
    with pytest.raises(VerificationError):
        parse_response(octets(name))


@pytest.mark.parametrize("name", [*READ, SEVERAL])
def test_none_of_them_passes_as_signed_by_another_key(name: str) -> None:
    key = rsa.generate_private_key(65_537, 2_048).public_key()

    with pytest.raises(VerificationError):
        verify_signature(parse_response(octets(name)), key, ALGORITHMS["rsa2048-sha256"])
