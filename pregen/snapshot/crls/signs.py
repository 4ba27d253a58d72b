"""Serials that differ by the sign alone: with and without the octet 00 that keeps a number positive (X.690, 8.3).

A serial whose first octet has its top bit set is negative unless 00 stands before it, and some programs forget that
octet when they write a CRL, or a database of certificates. Such an entry counts for such a row where nothing else fits
either of both: then it is told by a warning. Where two rows fit, nobody can tell which one is revoked: an error.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, Finding, Severity
from pregen.snapshot.crls.crl_entries import SERIAL_WIDTH
from pregen.snapshot.octets import octets_of, tails

_FORM_BITS = 8
_TAKEN = (
    "entries of CRLs have serials that differ from those of rows by the sign alone (an octet 00 before the top bit is "
    "left out in one of both); they count for these rows, since no others fit: let the CA write serials in CRLs as in "
    "the certificates"
)
_UNCLEAR = (
    "entries of CRLs have serials that fit several rows, of which some differ by the sign alone (an octet 00 before "
    "the top bit is left out), so nobody can tell which certificate is revoked: look whether rows are there twice in "
    "two encodings, and let the CA write serials in CRLs as in the certificates"
)


class OtherSigns(NamedTuple):
    """Some rows of a batch, int64[k]; their serials with the other sign, uint64[k, 3]; and numbers of their forms.

    Rows whose serials are the same but for their sign and length have different forms.
    """

    rows: NDArray[np.int64]
    words: NDArray[np.uint64]
    forms: NDArray[np.int64]


def other_signs(serial: pa.BinaryArray, *, also_positive: bool) -> OtherSigns:
    r"""Return the serials that have another sign without their first octet 00, or with one; positive ones if asked for.

    >>> found = other_signs(pa.array([b"\x05", b"\x00\x8f", b"\x8f"], pa.binary()), also_positive=True)
    >>> found.rows.tolist(), found.words[:, 2].astype("i8").tolist()
    ([1, 2], [-113, 143])
    """
    octets = octets_of(serial)
    first = np.zeros(len(serial), np.uint8)
    given = np.flatnonzero(octets.size)
    first[given] = octets.data[octets.start[given]]
    is_negative = first >> 7 == 1
    rows = np.flatnonzero(is_negative | ((first == 0) & (octets.size > 1) & also_positive))
    chosen = serial.take(pa.array(rows, pa.int64()))
    size = octets.size[rows] - ~is_negative[rows]  # without the 00
    matrix = tails(octets_of(chosen), SERIAL_WIDTH)
    matrix[np.arange(SERIAL_WIDTH) < (SERIAL_WIDTH - size)[:, None]] = 0
    above = (np.arange(SERIAL_WIDTH) < (SERIAL_WIDTH - size)[:, None]) & ~is_negative[rows][:, None]
    matrix |= above * np.uint8(0xFF)
    forms = (size << 1 | is_negative[rows]).astype(np.int64)
    return OtherSigns(rows, matrix.view(">u8").astype(np.uint64), forms)


def noted(entries: NDArray[np.int64], forms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which entries were found for rows of which forms, each pair once, as one number."""
    return np.unique(entries << _FORM_BITS | forms)


def entries_in(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the entries of `noted` numbers."""
    return pairs >> _FORM_BITS


def _distinct(pairs: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.unique(np.concatenate([np.empty(0, np.int64), *pairs]))


def sign_findings(
    exact: NDArray[np.bool_], pairs: Iterable[NDArray[np.int64]], shown: Callable[[int], str]
) -> Iterator[Finding]:
    """Yield what to say of entries that were taken for rows of the other sign.

    Args:
        exact: bool[entries], which of them have a row of the same sign.
        pairs: what was `noted`.
        shown: returns what messages call an entry.
    """
    found, counts = np.unique(entries_in(_distinct(pairs)), return_counts=True)
    is_unclear = (counts > 1) | exact[found]
    kinds: tuple[tuple[str, Severity, str, NDArray[np.bool_]], ...] = (
        ("crl.sign-unclear", "error", _UNCLEAR, is_unclear),
        ("crl.sign", "warning", _TAKEN, ~is_unclear),
    )
    for code, severity, text, which in kinds:
        if which.any():
            examples = tuple(shown(at) for at in found[which][:MAX_EXAMPLES].tolist())
            yield Finding(code, severity, text, int(np.count_nonzero(which)), examples)
