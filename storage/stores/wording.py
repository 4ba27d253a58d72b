"""What all backends share of the contract (`storage.stores.base`): names, ranges, and the wording of errors."""

import errno
import re
from collections.abc import Sequence

_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_LAST_OFFSET = 2**63 - 1  # of a file, and of what the libraries below can express


class NotAtHandError(Exception):
    """What was to be read by a thread that must not wait is not in memory; another thread may read it.

    Attributes:
        is_always: nobody can say what is in memory there: it is of no use to ask again.
    """

    def __init__(self, name: str, *, is_always: bool = False) -> None:
        super().__init__(name, is_always)
        self.name = name
        self.is_always = is_always

    def __str__(self) -> str:
        return f"{self.name} is not in memory"


def is_name(text: str) -> bool:
    """Say whether `text` may name an object.

    >>> is_name("packs/00c0-5f1e"), is_name("../secret"), is_name(".hidden"), is_name("a//b")
    (True, False, False, False)
    """
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Raise `ValueError` unless `name` may name an object."""
    if not is_name(name):
        raise ValueError(f"{name!r} cannot name an object: segments of A-Z a-z 0-9 . _ - joined by single slashes")


def check_names(names: Sequence[str]) -> None:
    """Raise `ValueError` unless each of `names` may name an object.

    Raises:
        TypeError: it is a single name, whose letters would be names too.
    """
    if isinstance(names, str):
        raise TypeError(f"{names!r} is one name: give a list of names")
    for name in names:
        check_name(name)


def check_range(start: int, length: int) -> None:
    """Raise `ValueError` unless a range can begin at `start` and hold `length` octets."""
    if start < 0 or length < 1 or start + length > _LAST_OFFSET:
        raise ValueError(f"not a range: {length} octets from {start} on")


def absent(url: str, name: str) -> FileNotFoundError:
    """Return the error of an object that is not there."""
    return FileNotFoundError(errno.ENOENT, "no such object", f"{url}/{name}")


def taken(url: str, name: str) -> FileExistsError:
    """Return the error of a conditional write that came second."""
    return FileExistsError(errno.EEXIST, "an object of that name is there already", f"{url}/{name}")


def short_range(url: str, name: str, start: int, length: int) -> EOFError:
    """Return the error of a range that ends behind the object's end."""
    return EOFError(f"{url}/{name}: {length} octets from {start} on were asked for, but the object ends before")
