"""What the profiles of issuers demand of rows, as tables that whole columns are looked up in."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pregen.snapshot.batch import NO_REASON
from pregen.snapshot.octets import Fault
from pregen.validity import REASON_CODES, Profile
from pregen.validity.reason_rules import REASON_MISSING, REASON_UNSPECIFIED

NO_PROFILES: Mapping[int, Profile] = MappingProxyType({})
_REASON_COUNT = 16  # more than any CRLReason; the two behind the last one are for rows without
_UNSPECIFIED, _NONE = _REASON_COUNT, _REASON_COUNT + 1
_NO_ROWS = np.empty(0, np.intp)
_NUMBER = MappingProxyType({code: number for number, code in enumerate(REASON_CODES, 1)})


class RowRules:
    """The rules of all issuers; what they say of rows costs nothing where none of them says anything."""

    def __init__(self, profiles: Mapping[int, Profile], issuers: int) -> None:
        """Take the profiles of issuers, by index; rows of the other issuers may say anything."""
        self._of_cas_alone = np.zeros(issuers, np.bool_)
        self._forbidden = np.zeros((issuers, 2, _REASON_COUNT + 2), np.uint8)
        for issuer, profile in profiles.items():
            self._of_cas_alone[issuer] = profile.is_for_cas
            for is_ca in (False, True):
                for reason, code in profile.reasons.forbidden(is_ca=is_ca):
                    self._forbidden[issuer, int(is_ca), reason] = _NUMBER[code]
            if profile.reasons.of_cas:
                self._forbidden[issuer, 1, [_UNSPECIFIED, _NONE]] = _NUMBER[REASON_UNSPECIFIED], _NUMBER[REASON_MISSING]
        self._any = bool(self._forbidden.any())
        self._any_of_cas_alone = bool(self._of_cas_alone.any())

    def of_cas_alone(self, issuer: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return which of the rows that are `chosen`, bool[n], are of issuers whose profile is for CAs alone."""
        return np.flatnonzero(chosen & self._of_cas_alone[issuer]) if self._any_of_cas_alone else _NO_ROWS

    def kind_faults(self, issuer: NDArray[np.int32], is_ca: NDArray[np.bool_]) -> Iterator[Fault]:
        """Yield which rows may not have the windows of their issuer, as they are no certificates of CAs."""
        if self._any_of_cas_alone:
            yield Fault("row.kind.end-entity", ~is_ca & self._of_cas_alone[issuer])

    def reason_faults(
        self,
        revoked: NDArray[np.bool_],
        issuer: NDArray[np.int32],
        is_ca: NDArray[np.bool_],
        reason: NDArray[np.int8],
        given: NDArray[np.bool_],
    ) -> Iterator[Fault]:
        """Yield what is wrong with the reasons of rows, of those alone that are `revoked`.

        `reason` is as in `StatusBatch`; where it is `NO_REASON` and yet `given`, it is unspecified.
        """
        rows = np.flatnonzero(revoked) if self._any else _NO_ROWS
        if not len(rows):
            return
        reason, given = reason[rows], given[rows]
        said = np.where(reason == NO_REASON, np.where(given, _UNSPECIFIED, _NONE), reason)
        number = self._forbidden[issuer[rows], is_ca[rows].astype(np.intp), said]
        if not number.any():
            return
        for code, one in _NUMBER.items():
            noted = np.zeros(len(revoked), np.bool_)
            noted[rows[number == one]] = True
            yield Fault(code, noted)
