import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.reasons import REASONS
from pregen.snapshot.batch import CA, END_ENTITY
from pregen.snapshot.codes import Codes, CodeTable, kind_table, look_up, reason_table, status_table, truth_table

INTEGERS = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())


def meanings(found: Codes) -> list[int | str]:
    return [
        int(number) if known else "blank" if blank else "unknown"
        for number, known, blank in zip(found.number, found.known, found.blank, strict=True)
    ]


@pytest.mark.parametrize("kind", INTEGERS)
def test_the_status_may_be_an_integer_of_any_width(kind: pa.DataType) -> None:
    column = pa.array([0, 1, 2, None, 3, 127], kind)

    assert meanings(look_up(column, status_table(None))) == [0, 1, 2, "blank", "unknown", "unknown"]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
)
def test_the_status_may_be_a_word_in_any_case(kind: pa.DataType) -> None:
    column = pa.array(["good", "REVOKED", " Unknown ", "1", None, "", "  ", "lost", "excluded"], pa.string()).cast(kind)

    expected = [0, 1, 2, 1, "blank", "blank", "blank", "unknown", "unknown"]
    assert meanings(look_up(column, status_table(None))) == expected
    assert meanings(look_up(column.slice(2, 5), status_table(None))) == expected[2:7]


def test_a_map_of_the_status_replaces_the_defaults() -> None:
    table = status_table({"good": ["20"], "revoked": ["40", "41"], "excluded": ["60", ""]})

    assert meanings(look_up(pa.array(["20", "41", "60", "", "0", "good", "020"]), table)) == [
        0,
        1,
        3,
        3,
        *["unknown"] * 3,
    ]
    assert meanings(look_up(pa.array([20, 40, 60, 0, None]), table)) == [0, 1, 3, "unknown", "blank"]


def test_integers_are_compared_as_the_text_that_they_are() -> None:
    table = status_table({"good": ["-1", "300", "07", "x"]})

    assert meanings(look_up(pa.array([-1, 44, 7], pa.int8()), table)) == [0, "unknown", "unknown"]
    assert meanings(look_up(pa.array([255, 44], pa.uint8()), table)) == ["unknown", "unknown"]
    assert meanings(look_up(pa.array([300], pa.uint16()), table)) == [0]


def test_every_reason_has_its_number_under_every_spelling() -> None:
    for name, number in REASONS.items():
        spellings = pa.array([name, name.upper(), str(number)])
        assert meanings(look_up(spellings, reason_table(None))) == [number] * 3
        assert meanings(look_up(pa.array([number], pa.int8()), reason_table(None))) == [number]


def test_reasons_that_no_response_may_carry_have_no_meaning() -> None:
    for column in (pa.array([7, 8, 11, -1]), pa.array(["7", "8", "removeFromCRL", "absent"])):
        assert meanings(look_up(column, reason_table(None))) == ["unknown"] * 4


def test_a_map_of_reasons_adds_to_the_defaults() -> None:
    table = reason_table({"absent": ["-1", "n/a"], "keyCompromise": ["lost", "5"], "9": ["withdrawn"]})

    texts = pa.array(["-1", "n/a", "lost", "5", "withdrawn", "superseded", None])
    assert meanings(look_up(texts, table)) == [-1, -1, 1, 1, 9, 4, "blank"]
    assert meanings(look_up(pa.array([-1, 5, 4], pa.int16()), table)) == [-1, 1, 4]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int16(), pa.string())])
def test_the_kind_of_a_certificate_is_one_of_two_words_in_any_case(kind: pa.DataType) -> None:
    column = pa.array(["ca", " CA", "End-Entity", None, "", "root"], pa.string()).cast(kind)

    assert meanings(look_up(column, kind_table(None))) == [CA, CA, END_ENTITY, "blank", "blank", "unknown"]


def test_a_map_of_kinds_adds_to_the_words() -> None:
    table = kind_table({"ca": ["1", "sub", "true"], "end-entity": ["0", "root"]})

    assert meanings(look_up(pa.array(["sub", "root", "ca", "Sub"]), table)) == [CA, END_ENTITY, CA, "unknown"]
    assert meanings(look_up(pa.array([1, 0, 2, None], pa.uint8()), table)) == [CA, END_ENTITY, "unknown", "blank"]
    assert meanings(look_up(pa.array([True, False, None]), table)) == [CA, "unknown", "blank"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([True, False, None]),
        pa.array([1, 0, None], pa.int8()),
        pa.array([1, 0, None], pa.uint64()),
        pa.array(["TRUE", " false", ""]),
        pa.array(["1", "0", None]),
        pa.array(["true", "false", None]).dictionary_encode(),
        pa.array([None, True, True, False, None]).slice(2),
    ],
)
def test_truth_may_be_a_boolean_a_number_or_a_word(column: "pa.Array[pa.Scalar[pa.DataType]]") -> None:
    assert meanings(look_up(column, truth_table(None))) == [1, 0, "blank"]


def test_a_map_of_truths_wins_over_the_words() -> None:
    table = truth_table({"true": ["Y", "0"], "false": ["N", "1"]})

    assert meanings(look_up(pa.array(["Y", "N", "0", "1", "true", "2"]), table)) == [1, 0, 1, 0, 1, "unknown"]
    assert meanings(look_up(pa.array([0, 1, 2]), table)) == [1, 0, "unknown"]


def test_a_column_of_nulls_is_blank() -> None:
    for kind in (pa.null(), pa.string(), pa.int8(), pa.dictionary(pa.int8(), pa.string())):
        assert meanings(look_up(pa.nulls(2, kind), reason_table(None))) == ["blank"] * 2
        assert meanings(look_up(pa.array([], kind), reason_table(None))) == []


def test_a_null_inside_of_a_dictionary_is_a_null() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array([None, "good"]))

    assert meanings(look_up(column, status_table(None))) == ["blank", 0, "blank"]


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "A", "", "c "])), max_size=40), st.integers(0, 10))
def test_texts_mean_the_same_plain_and_by_dictionary(texts: list[str | None], start: int) -> None:
    table = CodeTable({"a": 5, "b": 6}, {})
    column = pa.array(texts, pa.string())
    expected = [table.exact.get(text, "unknown") if text else "blank" for text in texts][start:]

    assert meanings(look_up(column.slice(start), table)) == expected
    assert meanings(look_up(column.dictionary_encode().slice(start), table)) == expected


def test_a_dictionary_may_have_as_many_entries_as_its_index_can_count() -> None:
    words = [f"w{number}" for number in range(128)]
    column = pa.DictionaryArray.from_arrays(pa.array([127, None, 0], pa.int8()), pa.array(words))

    found = look_up(column, CodeTable({"w127": 9}, {}))
    assert meanings(found) == [9, "blank", "unknown"]
    assert found.number.dtype == np.int64
