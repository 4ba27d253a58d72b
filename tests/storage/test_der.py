import pytest
from asn1crypto import core, parser
from hypothesis import given
from hypothesis import strategies as st

from storage import der

OIDS = st.builds(
    lambda root, arc, rest: ".".join(map(str, [root, arc, *rest])),
    st.integers(0, 1),
    st.integers(0, 39),
    st.lists(st.integers(0, 2**70), max_size=5),
) | st.builds(
    lambda arc, rest: ".".join(map(str, [2, arc, *rest])),
    st.integers(0, 2**40),
    st.lists(st.integers(0, 300), max_size=4),
)


@given(oid=OIDS)
def test_oids_are_read_as_asn1crypto_writes_them(oid: str) -> None:
    assert der.oid_text(core.ObjectIdentifier(oid).contents) == oid


@pytest.mark.parametrize("octets", [b"", b"\x2b\x8e", b"\x2b\x80\x01", b"\x80\x2b", b"\x2b" * 65])
def test_an_oid_that_is_not_der_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="an OID that is"):
        der.oid_text(octets)


@given(value=st.binary(max_size=70_000) | st.integers(0, 2**17).map(bytes), tag=st.sampled_from([0x30, 0x04, 0xA0]))
def test_what_is_written_is_read_back(value: bytes, tag: int) -> None:
    element = der.tlv(tag, value)
    fields = der.Cursor(element)

    assert element == parser.emit(tag >> 6, tag >> 5 & 1, tag & 0x1F, value)
    assert fields.take(tag).octets == value
    assert fields.at_end()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "cut off"),
        ("30", "cut off"),
        ("3001", "cut off"),
        ("3081", "bad length"),
        ("30800000", "bad length"),
        ("30850000000000", "bad length"),
        ("30817f", "not minimal"),
        ("30820080" + "00" * 128, "not minimal"),
        ("3f2000", "several octets"),
    ],
)
def test_what_is_not_der_is_refused(octets: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        der.Cursor(bytes.fromhex(octets)).skip()


def test_a_cursor_takes_only_what_is_due_and_leaves_nothing() -> None:
    fields = der.Cursor(bytes.fromhex("30050201070500")).take(der.SEQUENCE)

    assert fields.take_if(der.OID) is None
    with pytest.raises(ValueError, match="tag 0x02 at octet 2 where 0x04 is due"):
        fields.take(der.OCTET_STRING)
    assert fields.take(der.INTEGER).octets == b"\x07"
    with pytest.raises(ValueError, match="2 octets too many at octet 5"):
        fields.finish()
    fields.skip()
    fields.finish()
    assert fields.take_if(der.NULL) is None


def test_an_element_ends_within_the_one_around_it() -> None:
    with pytest.raises(ValueError, match="cut off"):
        der.Cursor(bytes.fromhex("3003040200" + "0000")).take(der.SEQUENCE).skip()
