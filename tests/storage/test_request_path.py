import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.certid import SHA1, SHA256
from storage.der import INTEGER, OCTET_STRING, OID, SEQUENCE, tlv
from storage.edge.respond import MAX_PATH_BYTES
from storage.request import MalformedRequestError
from storage.request_path import _ordinary, _read_path, decode_path, readings
from tests.storage.edge.answers import cert_id, encode_request, nonce_extension

SERIALS = st.integers(-(2**167), 2**167 - 1)
SLASHES = encode_request(cert_id(int.from_bytes(b"\x7f" + b"\xff\xff\xff" * 5)))
TEXT = b64encode(SLASHES)


def path_forms() -> Iterator[tuple[str, bytes]]:
    text = TEXT.decode()
    yield "plain", b"/" + TEXT
    yield "percent-encoded", b"/" + quote(text, safe="").encode()
    yield "lower-case escapes", b"/" + quote(text, safe="").replace("%2F", "%2f").encode()
    yield "slashes kept, the rest encoded", b"/" + quote(text, safe="/").encode()
    yield "every letter encoded", b"/" + "".join(f"%{letter:02X}" for letter in TEXT).encode()
    yield "encoded twice", b"/" + quote(quote(text, safe=""), safe="").encode()
    yield "a space for each plus", b"/" + TEXT.replace(b"+", b"%20")
    yield "without padding", b"/" + TEXT.rstrip(b"=")
    yield "base64url", b"/" + urlsafe_b64encode(SLASHES)
    yield "base64url without padding", b"/" + urlsafe_b64encode(SLASHES).rstrip(b"=")
    yield "a doubled slash in front", b"//" + TEXT
    yield "an encoded slash in front", b"/%2F" + TEXT
    yield "no slash in front", TEXT
    yield "a slash behind", b"/" + TEXT + b"/"
    yield "an encoded slash behind", b"/" + TEXT + b"%2F"
    yield "a slash behind, without padding", b"/" + TEXT.rstrip(b"=") + b"/"
    yield "a line end behind", b"/" + quote(text, safe="").encode() + b"%0A"
    yield "a line end of Windows behind", b"/" + TEXT + b"%0D%0A"
    yield "spaces behind", b"/" + TEXT + b"%20%20"
    yield "lines of 64 letters", b"/" + re.sub(rb"(.{64})", rb"\1%0A", TEXT) + b"%0A"


PREFIXES = [
    b"",
    b"/ocsp",
    b"/ocsp/r1",
    b"/M",
    b"/MEow/MFQw",
    b"/100%25/a%20b",
    b"/a=b",
    b"/MFQwUjBQME4wTDAJBgUrDgMCGgUABBQ=",
    b"//x//",
    b"/ocsp/" + TEXT[:40],
    b"/\xff",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("raw_path", [pytest.param(path, id=form) for form, path in path_forms()])
def test_every_form_of_the_path_is_understood_behind_every_other_path(raw_path: bytes, prefix: bytes) -> None:
    assert b"//" in TEXT, "the example must hold what a merging proxy would break"
    whole = prefix + raw_path if raw_path.startswith(b"/") else prefix + b"/" + raw_path

    assert decode_path(whole) == SLASHES


@given(
    serial=SERIALS,
    hash_oid=st.sampled_from([SHA1, SHA256]),
    encode=st.booleans(),
    pad=st.booleans(),
    prefix=st.lists(st.text(st.characters(codec="ascii", exclude_characters="%?#"), max_size=8), max_size=3),
    behind=st.sampled_from(["", "/", "%0A", "%2F"]),
)
def test_a_path_means_its_request_whatever_letters_it_has(
    serial: int, hash_oid: str, encode: bool, pad: bool, prefix: list[str], behind: str
) -> None:
    asked = cert_id(serial, hash_oid)
    text = b64encode(encode_request(asked)).decode()
    text = text if pad else text.rstrip("=")
    path = "/".join(["", *prefix, quote(text, safe="") if encode else text]) + behind

    first, *others = readings(path.encode())
    assert (first.cert_id, first.as_written) == (asked, True)
    assert not others or (text + behind).endswith("/"), "only then another one may have lost a slash"


@pytest.mark.parametrize(
    "raw_path", [b"", b"/", b"/favicon.ico", b"/MA=A", b"/M", b"/M%zzA", b"/robots.txt", b"/M\xff\xfeA", b"/MAA"]
)
def test_a_path_without_a_request_is_malformed(raw_path: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="not base64"):
        readings(raw_path)


@pytest.mark.parametrize("prefix", [b"", b"/ocsp/r1"])
def test_what_is_wrong_with_a_request_is_told_wherever_it_stands(prefix: bytes) -> None:
    two = b64encode(encode_request(cert_id(1), cert_id(2)))

    with pytest.raises(MalformedRequestError, match="more than one certificate"):
        readings(prefix + b"/" + two)


@given(raw_path=st.binary(max_size=100))
def test_no_path_raises_anything_but_malformed(raw_path: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        readings(raw_path)


# Slashes that a proxy has merged


def merged(text: bytes) -> bytes:
    return re.sub(rb"/+", b"/", text)


@pytest.mark.parametrize("prefix", [b"", b"/ocsp/r1", b"/M/M"])
@pytest.mark.parametrize("ones", [12, 18, 24, 60, 120])
@pytest.mark.parametrize("nonce", [0, 32])
def test_slashes_that_a_proxy_has_merged_are_put_back(prefix: bytes, ones: int, nonce: int) -> None:
    for shift in range(6):
        asked = cert_id((1 << 152) | ((1 << ones) - 1) << (8 + shift))
        after = nonce_extension(b"n" * nonce) if nonce else b""
        text = b64encode(encode_request(asked, after=after))
        if b"//" in text:
            assert asked in [reading.cert_id for reading in readings(prefix + b"/" + merged(text))]


def test_all_that_merged_slashes_can_mean_is_returned_and_the_right_one_is_among_it() -> None:
    random = Random(2)
    counts, restored = [], 0
    for _ in range(20_000):
        asked = cert_id(random.getrandbits(127), random.choice([SHA1, SHA256]))
        text = b64encode(encode_request(asked))
        if b"//" not in text:
            continue
        found = [reading.cert_id for reading in readings(b"/" + merged(text))]
        assert len(set(found)) == len(found)
        restored += asked in found
        counts.append(len(found))
    assert restored == len(counts) > 90
    assert max(counts) <= 8


def merged_letters(extension: bytes) -> bytes:
    """Return a path that lacks a slash, with many others, and is found out by its last octet alone."""
    serial = cert_id(int.from_bytes(b"\x40" + b"\x03\xf0\x3f" * 20))
    whole = encode_request(serial, after=tlv(0xA2, tlv(SEQUENCE, extension)) + tlv(INTEGER))
    return b64encode(whole).replace(b"/", b"", 1)


@pytest.mark.parametrize("octets", [15, 16, 17, 18, 19, 20])
@pytest.mark.parametrize("hash_oid", [SHA1, SHA256])
def test_slashes_are_put_back_also_where_one_more_stands_behind(octets: int, hash_oid: str) -> None:
    random = Random(octets)
    for _ in range(40):
        head, tail = random.getrandbits(octets * 8 - 65) | 1 << octets * 8 - 66, random.getrandbits(32)
        asked = cert_id(head << 64 | 0xFFFF << 40 | tail << 4, hash_oid)
        text = b64encode(encode_request(asked))
        assert b"//" in text
        for behind in (b"", b"/", b"%0A", b"/%0A"):
            found = readings(b"/ocsp/" + merged(text.rstrip(b"=")) + behind)
            assert asked in [reading.cert_id for reading in found]
            assert not (found[0].as_written and found[0].cert_id == asked)


def hostile_paths() -> Iterator[bytes]:
    yield b"/M" * (MAX_PATH_BYTES // 2)
    yield b"/MEow" * (MAX_PATH_BYTES // 5)
    yield b"%2F%4D" * (MAX_PATH_BYTES // 6)
    # A request that says that it is longer, with slashes in all places; and many, each beginning in the one before.
    yield b"/MIIB" + b"/A" * (MAX_PATH_BYTES // 2 - 3)
    yield b"/" + merged_letters(tlv(SEQUENCE, tlv(OID, b"\x2a"), tlv(OCTET_STRING, b"\3\xf0\x3f" * 80)))
    yield b"/" + merged_letters(b"".join(tlv(SEQUENCE, tlv(OID, b"\x2a"), tlv(OCTET_STRING)) for _ in range(34)))
    extensions = tlv(SEQUENCE, tlv(OID, b"\x2a"), tlv(OCTET_STRING)) * 700
    many = encode_request(cert_id(), after=tlv(0xA2, tlv(SEQUENCE, extensions)) + tlv(INTEGER))
    yield (b"/" + b64encode(many))[:MAX_PATH_BYTES]


@pytest.mark.parametrize("raw_path", list(hostile_paths()), ids=range(7))
def test_no_path_makes_much_work(raw_path: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MalformedRequestError):
        readings(raw_path)
    assert time.process_time() - began < 0.1, "measured: 0.01 s at most"


@given(
    st.sampled_from(["/", "/ocsp/", "/M/", "//", "/a_M/", "/%4D/", "/ /", "/x-y/", "", "/a.b/c/", "/a=b/", "/\n"]),
    SERIALS,
    st.sampled_from([SHA1, SHA256]),
    st.sampled_from(["", "/", "=", "%2F", "\n", "?", "/M", "A"]),
    st.lists(
        st.tuples(st.integers(0, 150), st.sampled_from(["", "/", "+", "=", "-", "%", " ", "M", "\n"])), max_size=2
    ),
)
def test_an_ordinary_path_means_what_any_path_means(
    before: str, serial: int, oid: str, after: str, edits: list[tuple[int, str]]
) -> None:
    text = before + b64encode(encode_request(cert_id(serial, oid))).decode() + after
    for at, letter in edits:
        text = text[:at] + letter + text[at + 1 :]
    path = text.encode()
    ordinary = _ordinary(path)

    assert ordinary is None or ordinary == _read_path(path, is_decoded=True) == _read_path(path, is_decoded=False)


def test_the_usual_path_is_an_ordinary_one() -> None:
    assert _ordinary(b"/" + b64encode(encode_request(cert_id(0x51)))) is not None
    assert _ordinary(b"/ocsp/r1/" + b64encode(encode_request(cert_id(0x51, SHA256)))) is not None
