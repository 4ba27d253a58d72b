"""What a clock on the wall shows, digit by digit and column by column, as seconds since 1970 as if it were UTC."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

YEAR_0000_S, YEAR_9999_S = -62_167_219_200, 253_402_300_799  # what four digits can say (RFC 5280, 4.1.2.5)


class Wall(NamedTuple):
    """Times on the wall, int64[n] each; negative where the text has no digits."""

    year: NDArray[np.int64]
    month: NDArray[np.int64]
    day: NDArray[np.int64]
    hour: NDArray[np.int64]
    minute: NDArray[np.int64]
    second: NDArray[np.int64]


def two_digits(matrix: NDArray[np.uint8], at: int) -> NDArray[np.int64]:
    """Return the number that two columns of characters write, or a negative one where they are not digits.

    >>> two_digits(np.frombuffer(b"x42x", np.uint8).reshape(1, 4), 1).tolist()
    [42]
    """
    tens, ones = (matrix[:, column] - np.uint8(ord("0")) for column in (at, at + 1))
    number = tens.astype(np.int64) * 10 + ones
    return np.where((tens > 9) | (ones > 9), -1_000_000, number)


def four_digits(matrix: NDArray[np.uint8], at: int) -> NDArray[np.int64]:
    """Return the number that four columns of characters write, or a negative one where they are not digits."""
    century, year = two_digits(matrix, at), two_digits(matrix, at + 2)
    return np.where((century < 0) | (year < 0), -1_000_000, century * 100 + year)


def seconds_of_day(text: str) -> int:
    """Return a time of day, ``HH:MM:SS``, in seconds.

    >>> seconds_of_day("23:59:59")
    86399
    """
    hour, minute, second = map(int, text.split(":"))
    return hour * 3_600 + minute * 60 + second


def wall_seconds(wall: Wall) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the seconds, and where such a time exists in the calendar.

    Hour 24 and second 60 do not: editions of ISO 8601 disagree about the first, and seconds since 1970 cannot tell the
    second from the one after it.
    """
    year, month, day, hour, minute, second = wall
    exists = year >= 0
    for part, least, most in ((month, 1, 12), (hour, 0, 23), (minute, 0, 59), (second, 0, 59)):
        exists &= (part >= least) & (part <= most)
    months = np.where(exists, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    exists &= (day >= 1) & (day <= following - first)
    return (first + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second, exists
