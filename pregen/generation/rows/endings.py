"""Windows that end with their certificates (`end_with_certificate` of [validity]).

Some clients refuse an answer whose nextUpdate is after the notAfter of the certificate. So where the usual window of an
issuer would be, a certificate gets one of its own:

1. It ends at or before notAfter: on the last point before it of a grid of whole units (of a day down to a second, UTC)
   of which 16 at least fit between the start of the run and notAfter. What ends at a full hour, or a second before
   one, loses nothing; any other certificate is at most a sixteenth of its rest without a valid answer, unless a
   newer one comes in between. In return there are few windows: 512 at most for a lifetime of 4 days.
2. It is never shorter than the profile wants it: where it would be, it begins earlier (`window_until`). thisUpdate is
   then older than what is known, as with a backdate.
3. A newer answer is due when that of the usual window is, be that after nextUpdate: where the certificate has ended,
   there is nothing to be newer. That is how a reader tells such windows from others.
4. A certificate that has ended when the run starts, or says no notAfter, has the usual window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.clock import seconds
from pregen.validity import Fit, Validity, ValidityWindow
from storage.overlay_part import NO_EXPIRY_32

_PARTS = 16
_UNITS_S = np.array([1, 15, 60, 300, 900, 3_600, 21_600, 86_400])  # each divides the next one
_LONGEST_S = 2**31 - 1  # of a window, 68 years: so that a span and a group's other numbers fit into 64 bits


@dataclass(frozen=True, slots=True)
class Endings:
    """Which certificates get a window of their own, and where it ends; for one run.

    Attributes:
        started: start of the run, in seconds since 1970.
        usual: int64[issuers], nextUpdate of the usual windows, 68 years from the start at most; -1: of an issuer whose
            certificates all have that one.
    """

    started: int
    usual: NDArray[np.int64]

    @classmethod
    def of(cls, validities: Sequence[Validity], windows: Sequence[ValidityWindow]) -> "Endings | None":
        """Return the endings for issuers and their usual windows; None: all certificates have those."""
        if not any(validity.ends_with_certificate for validity in validities):
            return None
        usual = [
            seconds(window.next_update) if validity.ends_with_certificate else -1
            for validity, window in zip(validities, windows, strict=True)
        ]
        started = seconds(windows[0].produced_at)
        return cls(started, np.minimum(np.array(usual, np.int64), started + _LONGEST_S))

    def undated(self, issuer: NDArray[np.int64], not_after: NDArray[np.uint32]) -> int:
        """Return how many certificates would have a window of their own, if anybody said when they end."""
        return int(np.count_nonzero((self.usual[issuer] >= 0) & (not_after == NO_EXPIRY_32)))

    def spans(self, issuer: NDArray[np.int64], not_after: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return from the start of the run to the end of the window of each certificate, int64[n]; 0: the usual one.

        >>> not_after = np.array([99_999, 20_000, 2**32 - 1], np.uint32)
        >>> Endings(10_000, np.array([100_000])).spans(np.zeros(3, int), not_after)
        array([87199,  9799,     0])
        """
        spans = np.zeros(len(issuer), np.int64)
        own = (not_after < self.usual[issuer]) & (not_after > self.started) & (not_after != NO_EXPIRY_32)
        if own.any():
            spans[own] = _ends(self.started, not_after[own]) - self.started
        return spans


def as_today(
    fits: NDArray[np.int8],
    produced_at: NDArray[np.int64],
    next_update: NDArray[np.int64],
    not_after: NDArray[np.uint32],
) -> NDArray[np.bool_]:
    """Return of which certificates the window is as today's, bool[n].

    Args:
        fits: int8[n], what `pregen.validity.fit` says of the window of each.
        produced_at: of these windows.
        next_update: of these windows.
        not_after: of the certificates, as the snapshot says now.

    >>> once, not_after = np.array([10_000, 10_000, 10_000]), np.array([99_999, 99_000, 2**32 - 1], np.uint32)
    >>> as_today(np.full(3, Fit.OWN, np.int8), once, np.full(3, 97_199), not_after).tolist()
    [True, True, False]
    """
    is_inside = (not_after > produced_at) & (not_after != NO_EXPIRY_32)  # of the time in which windows end by it
    right: NDArray[np.bool_] = fits == Fit.ANY
    right |= (fits == Fit.USUAL) & ~(is_inside & (not_after < next_update))
    own = (fits == Fit.OWN) & is_inside
    if own.any():
        right[own] = _ends(produced_at[own], not_after[own]) == next_update[own]
    return right


def _ends(started: int | NDArray[np.int64], not_after: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return where windows end that end with certificates, for the starts of the runs that made them."""
    end = not_after.astype(np.int64) + 1  # the first second in which the certificate is not valid
    fitting = np.searchsorted(_UNITS_S * _PARTS, end - started, side="right")
    unit: NDArray[np.int64] = _UNITS_S[np.maximum(fitting - 1, 0)]
    return end // unit * unit - 1
