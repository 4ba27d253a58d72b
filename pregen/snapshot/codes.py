"""Columns of codes (status, reason, issuer, kind, needs_ocsp) to numbers.

Each distinct value is looked up, then the rows by index.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.reasons import CERTIFICATE_HOLD, REASONS, REMOVE_FROM_CRL
from pregen.snapshot.batch import CA, END_ENTITY, NO_REASON, RowStatus
from pregen.snapshot.octets import ArrowArray, nulls

EXCLUDED = 3
EXPIRED = 4  # good until it expired, says a file whose kind has such a status
STATUS_NUMBERS: Mapping[str, int] = MappingProxyType(
    {**{status.name.lower(): status.value for status in RowStatus}, "excluded": EXCLUDED, "expired": EXPIRED}
)

UNSPECIFIED = 0  # left out of responses (RFC 5280, 5.3.1), but given, which counts where a reason is demanded
# What databases write when a hold has ended, as delta CRLs have it.
_RELEASED = {str(REMOVE_FROM_CRL): REMOVE_FROM_CRL, "removefromcrl": REMOVE_FROM_CRL}
_REASON_NUMBERS = {**REASONS, **{str(number): number for number in REASONS.values()}, "absent": NO_REASON}
PRECERTIFICATE = 2  # an end entity, of which there may be a row of the final certificate too
_KIND_NUMBERS = {"end-entity": END_ENTITY, "ca": CA, "precertificate": PRECERTIFICATE}
_TRUTHS = {"false": 0, "true": 1, "f": 0, "t": 1}  # the letters are PostgreSQL's, in CSV
_DIGITS = {"0": 0, "1": 1}
_INTEGER = re.compile("0|-?[1-9][0-9]*")  # as integers are written, so that comparing numbers is comparing texts


class Codes(NamedTuple):
    """A column looked up: `number` of each row, int64[n], 0 unless `known`; `blank` where null or empty."""

    number: NDArray[np.int64]
    known: NDArray[np.bool_]
    blank: NDArray[np.bool_]


class CodeTable(NamedTuple):
    """What the values of a column mean: `exact` texts first, then `folded` ones in any case and without spaces around.

    Integers are compared as the text that Python writes for them.
    """

    exact: Mapping[str, int]
    folded: Mapping[str, int]


def status_table(values: Mapping[str, list[str]] | None) -> CodeTable:
    """Return what a status column means; a map in the configuration replaces the defaults.

    It does not add to them: a 0 that a database uses for something else must not come out as good.
    """
    if values is not None:
        return CodeTable({text: STATUS_NUMBERS[key] for key, texts in values.items() for text in texts}, {})
    words = {status.name.lower(): status.value for status in RowStatus}
    return CodeTable({}, words | {str(number): number for number in words.values()})


def reason_table(values: Mapping[str, list[str]] | None) -> CodeTable:
    """Return what a reason column means: CRLReason numbers and names, and what the configuration adds or changes."""
    added = {text: _REASON_NUMBERS[key] for key, texts in (values or {}).items() for text in texts}
    return CodeTable(added, {name.lower(): number for name, number in _REASON_NUMBERS.items() if name != "absent"})


def kind_table(values: Mapping[str, list[str]] | None) -> CodeTable:
    """Return what a column of kinds means: the three words, and what the configuration adds or changes."""
    return CodeTable(
        {text: _KIND_NUMBERS[key] for key, texts in (values or {}).items() for text in texts}, _KIND_NUMBERS
    )


def truth_table(values: Mapping[str, list[str]] | None) -> CodeTable:
    """Return what truth values are: true and false, t and f, 1 and 0, and what the configuration adds or changes."""
    return CodeTable({text: _TRUTHS[key] for key, texts in (values or {}).items() for text in texts}, _TRUTHS | _DIGITS)


def look_up(column: ArrowArray, table: CodeTable) -> Codes:
    """Return what each row of a column of texts (plain or dictionary), integers or truth values means.

    Truth values are the texts ``true`` and ``false``.

    >>> look_up(pa.array(["Good", None, "lost"]), status_table(None)).known.tolist()
    [True, False, False]
    """
    if pa.types.is_integer(column.type):
        number, known = _find(column, _fitting({**table.folded, **table.exact}, column.type))
        return Codes(number, known, nulls(column))
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if pa.types.is_boolean(column.type):
        column = pa.DictionaryArray.from_arrays(column.cast(pa.int8()), pa.array(["false", "true"]))

    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    assert isinstance(encoded, pa.DictionaryArray)
    words = encoded.dictionary
    folded = pc.utf8_lower(pc.utf8_trim_whitespace(words)) if table.folded else words
    number, known = _find(words, table.exact)
    folded_number, folded_known = _find(folded, table.folded)
    number, known = np.where(known, number, folded_number), known | folded_known
    blank = nulls(folded) | pc.equal(folded, pa.scalar("", folded.type)).fill_null(True).to_numpy(zero_copy_only=False)

    index = encoded.indices.cast(pa.int64()).fill_null(len(words)).to_numpy()  # nulls get the entry that is appended
    return Codes(np.append(number, 0)[index], np.append(known, False)[index], np.append(blank & ~known, True)[index])


def are_released(column: ArrowArray, codes: Codes | None = None) -> NDArray[np.bool_]:
    """Return which rows give a reason of a certificate that was on hold, bool[n]; `codes` are what reasons mean.

    >>> are_released(pa.array(["removeFromCRL", "keyCompromise", None])).tolist()
    [True, False, False]
    """
    released: NDArray[np.bool_] = look_up(column, CodeTable({}, _RELEASED)).known
    return released if codes is None else released | (codes.known & (codes.number == CERTIFICATE_HOLD))


def with_keys(issuers: ArrowArray, keys: ArrowArray) -> ArrowArray:
    r"""Return what rows call their issuers where a second column tells the keys of one apart: name, slash, key.

    Octets are written as lower-case hex; a row without a key is called by the name alone.

    >>> with_keys(pa.array(["r1", "r1", None]), pa.array([b"\x5a", None, b"\x01"])).to_pylist()
    ['r1/5a', 'r1', None]
    """
    columns = [one if isinstance(one, pa.DictionaryArray) else one.dictionary_encode() for one in (issuers, keys)]
    places = [one.indices.cast(pa.int64()).fill_null(-1).to_numpy() for one in columns]
    words = [[*one.dictionary.to_pylist(), None] for one in columns]  # the last one is for -1
    pairs, index = np.unique(places[0] * len(words[1]) + places[1] % len(words[1]), return_inverse=True)
    names = [_with_key(words[0][pair // len(words[1])], words[1][pair % len(words[1])]) for pair in pairs.tolist()]
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(names, pa.string()))


def _with_key(issuer: str | None, key: str | bytes | int | None) -> str | None:
    if issuer is None or key is None or key in {"", b""}:
        return issuer
    return f"{issuer}/{key.hex() if isinstance(key, bytes) else key}"


def _fitting(meanings: Mapping[str, int], kind: pa.DataType) -> dict[int, int]:
    """Return the meanings of texts that are integers of a type."""
    least = 0 if pa.types.is_unsigned_integer(kind) else -(1 << (kind.bit_width - 1))
    integers = {int(text): meaning for text, meaning in meanings.items() if _INTEGER.fullmatch(text)}
    return {number: meaning for number, meaning in integers.items() if least <= number < least + (1 << kind.bit_width)}


def _find(
    values: ArrowArray, meanings: Mapping[str, int] | Mapping[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the meaning of each value, int64[n] (0: none), and which have one, bool[n]."""
    if not meanings:
        return np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
    index = pc.index_in(values, value_set=pa.array(list(meanings), values.type)).fill_null(-1).to_numpy()
    numbers = np.array([*meanings.values(), 0], np.int64)  # the last one is for -1
    return numbers[index], index >= 0
