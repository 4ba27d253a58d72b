"""Texts of the ASN.1 types UTCTime and GeneralizedTime, as certificates write them.

RFC 5280, 4.1.2.5, and DER leave one form of each, ``YYMMDDHHMMSSZ`` (years 1950 to 2049) and ``YYYYMMDDHHMMSSZ``: in
UTC, with seconds, without fractions. BER's other forms (offsets, no seconds, fractions, no zone) are refused, since
whatever wrote them did not copy them from a certificate. ``99991231235959Z``, "no well-defined expiration" (4.1.2.5),
is a time like others.
"""

import numpy as np
from numpy.typing import NDArray

from pregen.snapshot.octets import OctetColumn, heads, octet_at
from pregen.snapshot.times.wallclock import Wall, four_digits, two_digits, wall_seconds

_UTC_TIME, _GENERALIZED = len("YYMMDDHHMMSSZ"), len("YYYYMMDDHHMMSSZ")
_SIZES = {"utctime": (_UTC_TIME,), "generalizedtime": (_GENERALIZED,), "asn1": (_UTC_TIME, _GENERALIZED)}
_PIVOT = 50  # RFC 5280, 4.1.2.5.1


def read_asn1(text: OctetColumn, encoding: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times as seconds since 1970, and where they are well formed; `encoding` names one type, or "asn1" both."""
    short = text.size == _UTC_TIME
    right = np.isin(text.size, np.array(_SIZES[encoding])) & (octet_at(text, text.end - 1) == ord("Z"))
    head = heads(text, _GENERALIZED)
    of_century = two_digits(head, 0)
    year = np.where(short, of_century + np.where(of_century < _PIVOT, 2_000, 1_900), four_digits(head, 0))
    year[short & (of_century < 0)] = -1
    if short.any():
        head[short, 4:] = head[short, 2:-2]
    seconds, exists = wall_seconds(Wall(year, *(two_digits(head, at) for at in (4, 6, 8, 10, 12))))
    return seconds, right & exists
