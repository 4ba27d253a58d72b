"""The same values in several layouts of Arrow (views, dictionaries, runs, UUIDs), to the few that are read."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_type

from pregen.snapshot.octets import ArrowArray

CODED_COLUMNS = ("issuer", "issuer_key", "status", "reason", "kind", "needs_ocsp")
_OF_OCTETS = ("serial", "issuer_key")  # where octets are no text


def unwrapped(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values themselves: of runs, and of UUIDs, which are 16 octets."""
    if isinstance(kind, pa.RunEndEncodedType):
        return unwrapped(kind.value_type)
    return kind.storage_type if isinstance(kind, pa.UuidType) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds texts, plain or by dictionary."""
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    return is_type.is_string(kind) or is_type.is_large_string(kind) or is_type.is_string_view(kind)


def is_octets(kind: pa.DataType) -> bool:
    """Whether a type holds octets of any length."""
    return is_type.is_binary(kind) or is_type.is_large_binary(kind) or is_type.is_binary_view(kind)


def read_as(kind: pa.DataType, canonical: str) -> pa.DataType:
    """Return the type that a column is read as: Impala, and Hive without annotations, write texts as octets."""
    kind = unwrapped(kind)
    if canonical in _OF_OCTETS:
        return kind
    if isinstance(kind, pa.DictionaryType) and is_octets(kind.value_type):
        return pa.dictionary(kind.index_type, pa.string())
    return pa.string() if is_octets(kind) else kind


def is_number(kind: pa.DataType) -> bool:
    """Whether a type holds whole numbers, exactly; Oracle's come as decimals."""
    return is_type.is_integer(kind) or (is_type.is_decimal(kind) and kind.scale == 0)


def plain(array: ArrowArray, canonical: str) -> ArrowArray:
    """Return a column in one of the few types that are read.

    Views, runs and, except for codes, dictionaries are unfolded. Decimals become text, but for serials, which are read
    as what they are; so do octets, but for serials and keys, and what of them is no UTF-8 is no value that is known.
    """
    if isinstance(array, pa.RunEndEncodedArray):
        array = pc.call_function("run_end_decode", [array])
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        if is_octets(array.type.value_type) and canonical not in _OF_OCTETS:
            array = pa.DictionaryArray.from_arrays(array.indices, _decoded(array.dictionary))
        if is_type.is_string_view(array.type.value_type):
            array = pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.large_string()))
        return array if canonical in CODED_COLUMNS else array.dictionary_decode()
    if is_type.is_string_view(array.type):
        return array.cast(pa.large_string())
    if is_octets(array.type) and canonical not in _OF_OCTETS:
        return _decoded(array)
    if is_type.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    if is_type.is_decimal(array.type) and canonical != "serial":
        return array.cast(pa.string())
    return array


def _decoded(array: ArrowArray) -> ArrowArray:
    """Return octets as the text that they are in UTF-8; what is none gets a mark that no text has."""
    whole = array.cast(pa.large_binary())
    try:
        return whole.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [None if octets is None else octets.decode("utf-8", "replace") for octets in whole.to_pylist()]
        return pa.array(texts, pa.large_string())
