import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from pregen.errors import SigningError
from pregen.signers.ecdsa import fixed_width

WIDTHS = st.sampled_from([28, 32, 48, 66])  # P-224 to P-521, whose SEQUENCE needs a longer length


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A width, and numbers of every size that fits it."""
    width = draw(WIDTHS)
    number = st.integers(0, width).flatmap(lambda size: st.integers(0, (1 << 8 * size) - 1))
    return width, draw(st.lists(st.tuples(number, number), min_size=1, max_size=9))


@given(batches())
def test_numbers_of_every_size_become_fixed_width(batch: tuple[int, list[tuple[int, int]]]) -> None:
    width, pairs = batch
    stored = fixed_width([encode_dss_signature(r, s) for r, s in pairs], width)
    assert stored.shape == (len(pairs), 2 * width)
    halves = [(bytes(row[:width]), bytes(row[width:])) for row in stored]
    assert [(int.from_bytes(r, "big"), int.from_bytes(s, "big")) for r, s in halves] == pairs


def test_no_signatures_are_no_rows() -> None:
    assert fixed_width([], 32).shape == (0, 64)


@given(data=st.data(), other=st.integers(0, 2**256 - 1))
def test_what_is_no_signature_is_refused_wherever_it_stands(data: st.DataObject, other: int) -> None:
    good = encode_dss_signature(other, 2**255)
    bad = bytearray(encode_dss_signature(2**256 - 1, other))
    at = data.draw(st.sampled_from([0, 1, 2, 3, 37, 38]), label="tag or length")
    bad[at] ^= data.draw(st.integers(1, 255), label="flipped bits")
    for batch in ([bytes(bad), good], [good, bytes(bad)], [bytes(bad)]):
        with pytest.raises(SigningError, match="no ECDSA signature"):
            fixed_width(batch, 32)


@pytest.mark.parametrize(
    ("why", "der"),
    [
        ("empty", ""),
        ("one octet", "30"),
        ("a length that lies beyond the end", "30ff02ff"),
        ("a trailing octet", "300602010102010100"),
        ("no sequence", "3106020101020101"),
        ("a sequence that says too little", "3005020101020101"),
        ("a long length where a short one does", "308106020101020101"),
        ("no integer", "3006030101020101"),
        ("an integer without octets", "30050200020101"),
        ("a negative r", "3006020180020101"),
        ("a negative s", "3006020101020180"),
        ("a zero too many", "300702020001020101"),
        ("more octets than the curve has", "30080203010000020101"),
        ("more octets than the curve has, with a zero", "3009020400800000020101"),
    ],
)
def test_der_that_is_not_minimal_is_refused(why: str, der: str) -> None:
    with pytest.raises(SigningError):
        fixed_width([bytes.fromhex(der)], 2)
    neighbour = encode_dss_signature(1, 2)
    with pytest.raises(SigningError):
        fixed_width([neighbour, bytes.fromhex(der), neighbour], 2)


def test_the_octets_are_those_of_the_signature_and_no_neighbours() -> None:
    stored = fixed_width([encode_dss_signature(2**16 - 1, 0), encode_dss_signature(0x7F, 2**16 - 1)], 3)
    assert np.array_equal(stored, [[0, 255, 255, 0, 0, 0], [0, 0, 127, 0, 255, 255]])
