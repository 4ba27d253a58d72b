from datetime import datetime
from importlib.resources import files

import pytest
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from storage.certid import SHA256
from storage.edge.guard import singles_in, written
from tests.storage.edge.answers import (
    NEXT_UPDATE,
    THIS_UPDATE,
    cert_id,
    cert_ids_in,
    encode_cert_id,
    encode_response,
)

ONE = encode_response(cert_id())


def vector(name: str) -> bytes:
    return files("cryptography_vectors").joinpath("x509", "ocsp", name).read_bytes()


def as_written(instant: datetime | None) -> bytes | None:
    return None if instant is None else instant.strftime("%Y%m%d%H%M%SZ").encode()


def test_a_response_tells_whom_it_is_about_and_for_which_time() -> None:
    assert singles_in(ONE) == [(cert_id(), b"20261124000000Z", b"20261127235959Z")]
    assert (written(THIS_UPDATE), written(NEXT_UPDATE)) == (b"20261124000000Z", b"20261127235959Z")


def test_a_combined_response_tells_both_of_its_cert_ids() -> None:
    both = [cert_id(), cert_id(hash_oid=SHA256)]

    assert cert_ids_in(encode_response(*both)) == both


@given(serial=st.integers(-(2**167), 2**167 - 1))
def test_any_serial_is_found(serial: int) -> None:
    assert cert_ids_in(encode_response(cert_id(serial))) == [cert_id(serial)]


@pytest.mark.parametrize(
    "name",
    [
        "resp-delegate-unknown-cert.der",
        "resp-invalid-signature-oid.der",
        "resp-responder-key-hash.der",
        "resp-revoked-no-next-update.der",
        "resp-revoked-reason.der",
        "resp-revoked.der",
        "resp-sct-extension.der",
        "resp-sha256.der",
        "resp-single-extension-reason.der",
        "resp-unknown-extension.der",
    ],
)
def test_real_responses_are_read_as_cryptography_reads_them(name: str) -> None:
    (found,) = singles_in(vector(name))
    peer = ocsp.load_der_ocsp_response(vector(name))

    assert found.cert_id[1:3] == (peer.issuer_name_hash, peer.issuer_key_hash)
    assert found.cert_id.serial_number == peer.serial_number
    assert found.this_update == as_written(peer.this_update_utc)
    assert found.next_update == as_written(peer.next_update_utc)


def test_a_response_about_several_certificates_tells_all_of_them() -> None:
    raw = vector("ocsp-army.deps.mil-resp.der")
    peer = [single.serial_number for single in ocsp.load_der_ocsp_response(raw).responses]

    assert len(peer) > 1
    assert [found.serial_number for found in cert_ids_in(raw)] == peer


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (vector("resp-unauthorized.der"), "an error"),
        (vector("resp-successful-no-response-bytes.der"), "cut off"),
        (vector("resp-response-type-unknown-oid.der"), "basic type"),
        (b"\0", "cut off"),
        (ONE + b"\0", "too many"),
        (b"", "cut off"),
    ],
    ids=["error", "no bytes", "other type", "one octet", "trailing octet", "nothing"],
)
def test_what_is_no_answer_is_refused(response: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        cert_ids_in(response)


CERT_ID = encode_cert_id(cert_id())


@given(at=st.integers(0, len(CERT_ID) - 1), flip=st.integers(1, 255))
def test_a_damaged_cert_id_is_never_taken_for_the_right_one(at: int, flip: int) -> None:
    damaged = bytearray(ONE)
    damaged[ONE.index(CERT_ID) + at] ^= flip
    try:
        found = cert_ids_in(bytes(damaged))
    except ValueError:
        return
    assert cert_id() not in found
