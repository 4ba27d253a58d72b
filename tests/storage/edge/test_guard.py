from datetime import datetime
from importlib.resources import files

import pytest
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from storage.certid import SHA1, SHA256, CertID
from storage.edge.guard import is_only_about, singles_in, written
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


TIMES = written(THIS_UPDATE), written(NEXT_UPDATE)
ASKED = [cert_id(serial, oid) for serial in (0x51, 0x1234, 1 << 126) for oid in (SHA1, SHA256)]
RESPONSES = [
    *(encode_response(one) for one in ASKED),
    *(encode_response(one, two) for one in ASKED[::2] for two in ASKED[1::2]),
    encode_response(ASKED[0], this_update=THIS_UPDATE + 60),
    encode_response(cert_id(0x51, issuer=b"another")),
    *(vector(f"resp-{name}.der") for name in ("revoked", "sha256", "revoked-no-next-update", "unauthorized")),
]


def read_in_full(response: bytes, asked: CertID, times: tuple[bytes, bytes]) -> bool | None:
    """Return what the last look must find, by reading all of the response; None: it is no answer."""
    try:
        found = singles_in(response)
    except ValueError:
        return None
    is_of_serial = all(one.cert_id.serial == asked.serial and one[1:] == times for one in found)
    return is_of_serial and asked in [one.cert_id for one in found]


def looked_at(response: bytes, asked: CertID, times: tuple[bytes, bytes]) -> bool | None:
    try:
        return is_only_about(response, asked, times)
    except ValueError:
        return None


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_the_last_look_at_an_answer_like_others_sees_what_the_first_one_saw(asked: CertID) -> None:
    for _ in range(2):
        seen = [looked_at(response, asked, TIMES) for response in RESPONSES]
        assert seen == [read_in_full(response, asked, TIMES) for response in RESPONSES]
    assert True in seen


@given(
    st.sampled_from(RESPONSES),
    st.sampled_from(ASKED),
    st.sampled_from([TIMES, (TIMES[0], TIMES[0])]),
    st.lists(st.tuples(st.integers(0, 260), st.binary(max_size=2), st.integers(0, 2)), max_size=3),
)
def test_no_changed_octet_escapes_the_last_look(
    response: bytes, asked: CertID, times: tuple[bytes, bytes], edits: list[tuple[int, bytes, int]]
) -> None:
    for one in RESPONSES:
        looked_at(one, asked, times)
    for at, octets, removed in edits:
        response = response[:at] + octets + response[at + removed :]

    assert looked_at(response, asked, times) == read_in_full(response, asked, times)


@given(st.sampled_from(ASKED), st.sampled_from(ASKED), st.integers(0, 2**128))
def test_an_answer_about_another_certificate_of_that_issuer_is_never_taken(
    asked: CertID, like: CertID, serial: int
) -> None:
    assert is_only_about(encode_response(like), like, TIMES)
    other = cert_id(serial, like.hash_oid)

    assert is_only_about(encode_response(other), asked, TIMES) == (other == asked)
