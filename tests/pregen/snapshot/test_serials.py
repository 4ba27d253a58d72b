import decimal
import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.snapshot.octets import octets_of
from pregen.snapshot.serials import read_serials

LIMIT = 2 ** (21 * 8 - 1)  # what 21 octets hold begins at -LIMIT and ends before LIMIT

numbers = st.one_of(
    st.integers(-LIMIT, LIMIT - 1),
    st.integers(0, 2**16),
    st.builds(lambda size, by: (1 << size) + by, st.integers(0, 166), st.integers(-1, 1)),  # where lengths change
    st.builds(lambda size, by: -(1 << size) + by, st.integers(0, 166), st.integers(-1, 1)),
)


def der(number: int) -> bytes:
    """Return the content octets of a DER INTEGER, as Python counts them."""
    bits = number.bit_length() if number >= 0 else (number + 1).bit_length()
    return number.to_bytes(bits // 8 + 1, "big", signed=True)


def faults(column: "pa.Array[pa.Scalar[pa.DataType]]", encoding: str) -> list[str | None]:
    """Return each row's fault, at most one."""
    _, found, _ = read_serials(column, encoding)
    by_row: list[str | None] = [None] * len(column)
    for fault in found:
        for at in np.flatnonzero(fault.rows):
            assert by_row[at] is None
            by_row[at] = fault.code.removeprefix("row.serial.")
    return by_row


def values(column: "pa.Array[pa.Scalar[pa.DataType]]", encoding: str) -> list[bytes | None]:
    serials, found, _ = read_serials(column, encoding)
    assert not any(fault.rows.any() for fault in found)
    serials.validate(full=True)
    assert serials.type == pa.binary()
    return serials.to_pylist()


@settings(max_examples=60)
@given(st.lists(numbers, min_size=1, max_size=40), st.data())
def test_hex_in_every_spelling_is_the_number(serials: list[int], data: st.DataObject) -> None:
    texts = []
    for number in serials:
        digits = f"{abs(number):x}"
        if data.draw(st.booleans(), label="upper case"):
            digits = digits.upper()
        digits = "0" * data.draw(st.sampled_from([0, 0, 1, 2, 60]), label="zeros") + digits
        separator = data.draw(st.sampled_from(["", "", ":", " "]), label="separator")
        if separator:
            digits = separator.join(digits[at : at + 2] for at in range(0, len(digits), 2))
        sign = "-" if number < 0 else data.draw(st.sampled_from(["", "+"]), label="sign")
        around = data.draw(st.sampled_from(["", " ", "\t"]), label="around")
        texts.append(around + sign + data.draw(st.sampled_from(["", "0x", "0X"]), label="prefix") + digits + around)

    assert values(pa.array(texts), "hex") == [der(number) for number in serials]


@settings(max_examples=60)
@given(st.lists(numbers, min_size=1, max_size=40), st.sampled_from(["", "000", "0" * 60]))
def test_decimal_is_the_number(serials: list[int], zeros: str) -> None:
    texts = [f"{'-' if number < 0 else ''}{zeros}{abs(number)}" for number in serials]

    assert values(pa.array(texts, pa.large_string()), "decimal") == [der(number) for number in serials]


@settings(max_examples=60)
@given(st.lists(st.integers(0, LIMIT - 1), min_size=1, max_size=40), st.integers(0, 30))
def test_unsigned_binary_is_the_magnitude(serials: list[int], zeros: int) -> None:
    magnitudes = [bytes(zeros) + number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big") for number in serials]

    assert values(pa.array(magnitudes), "unsigned-binary") == [der(number) for number in serials]


@given(st.lists(numbers, min_size=1, max_size=40))
def test_binary_content_octets_stay_themselves(serials: list[int]) -> None:
    octets = [der(number) for number in serials]

    assert values(pa.array(octets), "binary") == octets
    assert values(pa.array(octets, pa.large_binary()), "binary") == octets


@given(st.lists(st.one_of(st.none(), st.binary(max_size=24)), max_size=30), st.integers(0, 5), st.integers(0, 30))
def test_a_slice_with_nulls_is_judged_as_python_would(octets: list[bytes | None], start: int, length: int) -> None:
    def expected(value: bytes | None) -> str | None:
        if value is None:
            return "null"
        if not value:
            return "empty"
        if der(int.from_bytes(value, "big", signed=True)) != value:
            return "not-minimal"
        return "too-long" if len(value) > 21 else None

    for kind in (pa.binary(), pa.large_binary()):
        column = pa.array(octets, kind).slice(start, length)
        assert faults(column, "binary") == [expected(value) for value in column.to_pylist()]
        serials, found, _ = read_serials(column, "binary")
        bad = np.logical_or.reduce([fault.rows for fault in found])
        good = serials.filter(pa.array(~bad)).to_pylist()
        assert good == [value for value in column.to_pylist() if expected(value) is None]


@given(numbers, st.integers(1, 70), st.sampled_from([pa.binary(), pa.large_binary(), None]))
def test_superfluous_octets_are_a_fault_and_yet_the_serial_is_known(
    number: int, superfluous: int, kind: pa.DataType | None
) -> None:
    padded = (b"\xff" if number < 0 else b"\0") * superfluous + der(number)
    column = pa.array([padded, padded], kind or pa.binary(len(padded))).slice(1)

    assert faults(column, "binary") == ["not-minimal"]
    assert read_serials(column, "binary")[0].to_pylist() == [der(number) if len(padded) <= 64 else None]


def test_a_serial_that_is_too_long_without_superfluous_octets_is_unknown() -> None:
    assert read_serials(pa.array([b"\0\0" + b"\x01" * 22]), "binary")[0].to_pylist() == [None]


@given(st.lists(st.one_of(st.none(), st.text("0123456789abcdefABCDEFx:-+ gz", max_size=12)), max_size=30), st.data())
def test_any_text_is_a_number_or_a_fault(texts: list[str | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 3))
    column = pa.array(texts, pa.string()).slice(start)
    for encoding, base in (("hex", 16), ("decimal", 10)):
        serials, _, _ = read_serials(column, encoding)
        for text, octets, fault in zip(column.to_pylist(), serials.to_pylist(), faults(column, encoding), strict=True):
            if text is None:
                assert fault == "null"
            elif fault == "empty":
                assert not text.strip()
            elif fault is not None:
                assert fault in {f"not-{encoding}", "rounded"}
                with pytest.raises(ValueError):  # noqa: PT011 Python's int() says no more
                    int(text if base == 10 else text.replace(":", "").replace(" ", ""), base)
            else:
                plain = text if base == 10 else text.replace(":", "").replace(" ", "")
                assert octets == der(int(plain, base))


def test_every_length_from_1_to_21_octets_passes_and_22_does_not() -> None:
    for encoding, write in (("hex", hex), ("decimal", str)):
        edges = [n for size in range(1, 22) for n in (2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)))]
        texts = pa.array([write(number) for number in [*edges, LIMIT, -LIMIT - 1, 2**176, -(2**176) + 1, 2**400]])

        serials, _, _ = read_serials(texts, encoding)
        assert serials.to_pylist()[: len(edges)] == [der(number) for number in edges]
        assert set(octets_of(serials).size[: len(edges)].tolist()) == set(range(1, 22))
        assert faults(texts, encoding) == [None] * len(edges) + ["too-long"] * 5


@pytest.mark.parametrize(
    ("encoding", "text", "fault"),
    [
        ("hex", "", "empty"),
        ("hex", "  ", "empty"),
        ("hex", None, "null"),
        ("hex", "0x", "not-hex"),
        ("hex", "-", "not-hex"),
        ("hex", "xyz", "not-hex"),
        ("hex", "1 2-3", "not-hex"),
        ("hex", "0x0x1", "not-hex"),
        ("hex", "--1", "not-hex"),
        ("hex", "f" * 43 + "g", "not-hex"),
        ("hex", "g" + "f" * 80, "not-hex"),
        ("hex", "\u0661", "not-hex"),
        ("hex", "-0", None),
        ("hex", "0", None),
        ("decimal", "", "empty"),
        ("decimal", "12a", "not-decimal"),
        ("decimal", "1.0", "not-decimal"),
        ("decimal", "1e5", "not-decimal"),
        ("decimal", "a" + "1" * 80, "not-decimal"),
        ("decimal", "-0", None),
    ],
)
def test_odd_texts(encoding: str, text: str | None, fault: str | None) -> None:
    column = pa.array(["7f", text, "11"] if encoding == "hex" else ["7", text, "11"], pa.string())

    assert faults(column, encoding) == [None, fault, None]


def test_zero_is_one_octet_in_every_encoding() -> None:
    assert values(pa.array(["0", "-0", "00:00", "0x0"]), "hex") == [b"\0"] * 4
    assert values(pa.array(["0", "-0", "000"]), "decimal") == [b"\0"] * 3
    assert values(pa.array([b"\0", b"\0" * 30]), "unsigned-binary") == [b"\0"] * 2
    assert values(pa.array([b"\0"]), "binary") == [b"\0"]


def test_numbers_of_a_database_are_decimal() -> None:
    assert values(pa.array([-129, 0, 2**63 - 1]), "decimal") == [der(-129), b"\0", der(2**63 - 1)]
    big = decimal.Decimal(f"1{1:048}")
    assert values(pa.array([big], pa.decimal256(60, 0)), "decimal") == [der(10**48 + 1)]


def test_fixed_size_binary_is_read_in_slices_too() -> None:
    column = pa.array([b"\0\x81\x02", None, b"\x01\x02\x03", b"\0\0\x05"], pa.binary(3))

    assert faults(column, "binary") == [None, "null", None, "not-minimal"]
    assert values(column.slice(2), "unsigned-binary") == [b"\x01\x02\x03", b"\x05"]
    assert values(column.slice(2, 1), "binary") == [b"\x01\x02\x03"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(1)])
def test_octets_that_are_negative_are_counted(kind: pa.DataType) -> None:
    column = pa.array([b"\x80", b"\x7f", None, b"\xff", b"\x00", b"\xfe"], kind)

    assert read_serials(column, "binary").negative_count == 3
    assert read_serials(column.slice(1, 3), "binary").negative_count == 1
    assert read_serials(column, "unsigned-binary").negative_count == 0


def test_a_minus_counts_as_negative_where_a_number_follows() -> None:
    assert read_serials(pa.array(["-1", "1", None, "-x", "-"]), "hex").negative_count == 1
    assert read_serials(pa.array(["-1", "1", None, "-x", "-"]), "decimal").negative_count == 1
    assert read_serials(pa.array([-1, 1, None, -(2**63)]), "decimal").negative_count == 2


def test_the_hyphens_of_uuids_do_not_count() -> None:
    found = read_serials(
        pa.array([" 550e8400-e29b-41d4-a716-446655440000", "55-0e", "550e8400-e29b-41d4-a716-44665544000-"]), "hex"
    )

    assert found.values[0].as_py().hex() == "550e8400e29b41d4a716446655440000"
    assert [fault.rows.tolist() for fault in found.faults if fault.rows.any()] == [[False, True, True]]


def test_no_octet_and_no_value_are_not_negative() -> None:
    column = pa.array([b"", None, b"\xff\x01", b"", b"\xff"])

    assert read_serials(column, "binary").negative_count == 2


def test_a_magnitude_with_the_top_bit_set_needs_room_for_the_sign() -> None:
    column = pa.array([b"\x7f" + bytes(20), b"\x80" + bytes(20), b"\0" + b"\x80" + bytes(19)])

    assert faults(column, "unsigned-binary") == [None, "too-long", None]


@pytest.mark.parametrize("encoding", ["binary", "unsigned-binary", "hex", "decimal"])
def test_a_column_without_rows_is_no_trouble(encoding: str) -> None:
    kind = pa.binary() if encoding.endswith("binary") else pa.string()
    for column in (pa.array([], kind), pa.array([None, None], kind)):
        serials, found, _ = read_serials(column, encoding)
        assert len(serials) == len(column)
        assert sum(int(fault.rows.sum()) for fault in found) == len(column)


def test_buffers_may_be_longer_than_their_columns_by_any_count_of_octets() -> None:
    offsets = np.array([0, 1, 3], np.int32).tobytes() + b"pad"
    column = pa.Array.from_buffers(pa.binary(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(b"abcdefg")])

    assert values(column, "binary") == [b"a", b"bc"]
    assert values(column.slice(1), "unsigned-binary") == [b"bc"]


def test_a_value_of_two_gigabytes_is_a_fault_and_no_failure() -> None:
    size = 2**31 + 1
    offsets = np.array([0, 1, size, size + 1], np.int64)
    octets = np.zeros(size + 1, np.uint8)  # address space alone: nobody touches most of it
    octets[[0, 1, size]] = 5
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(octets.data)]
    column = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 3, buffers)

    assert faults(column, "binary") == [None, "too-long", None]
    assert read_serials(column, "binary")[0].to_pylist() == [b"\5", None, b"\5"]


def test_every_pair_of_octets_is_judged_as_python_would() -> None:
    pairs = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
    expected = [None if der(int.from_bytes(pair, "big", signed=True)) == pair else "not-minimal" for pair in pairs]

    assert faults(pa.array(pairs), "binary") == expected
