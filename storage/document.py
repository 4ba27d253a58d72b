"""JSON documents of the format, read with a type for each member; unknown members are ignored (FORMAT.md)."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from storage.errors import MalformedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z: GeneralizedTime has four digits for the year
RANDOM_BYTES = 16
BEYOND_NUMBERS = 1 << 53  # what every JSON library can tell from its neighbours is below
# X.660: three roots; below the first two of them, arcs up to 39.
_OID = re.compile(r"(?:[01]\.(?:[1-3]?[0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*")
_HEX = re.compile("[0-9a-f]*")
_Value = TypeVar("_Value")


def encode(document: dict[str, object]) -> bytes:
    """Return a document as compact JSON in UTF-8, its members in the order given."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def new_random() -> str:
    """Return what makes a document another one than all before it, so that a name that was removed never comes back."""
    return os.urandom(RANDOM_BYTES).hex()


def base64_text(octets: bytes) -> str:
    """Return octets as JSON carries them."""
    return base64.b64encode(octets).decode()


class Document:
    """One object of a JSON document; `where` names it in errors."""

    __slots__ = ("members", "name", "where")

    def __init__(self, name: str, members: object, where: str = "") -> None:
        self.name = name
        self.where = where
        if not isinstance(members, dict):
            self.fail("is not an object")
        self.members: dict[str, object] = members

    @classmethod
    def parse(cls, name: str, octets: bytes) -> "Document":
        """Return the document that the stored object `name` holds."""
        try:
            # Decoded here, because json would guess UTF-16 and UTF-32 as well.
            # That no member stands twice is the publisher's duty: looking took longer than the rest of the parsing.
            members = json.loads(octets.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError) as e:
            raise MalformedError(name, f"is not JSON: {e}") from e
        return cls(name, members)

    def fail(self, detail: str) -> NoReturn:
        """Raise the error that says what is wrong with this object."""
        raise MalformedError(self.name, f"{self.where or 'document'} {detail}")

    def for_people(self, read: Callable[[str], _Value], member: str, default: _Value) -> _Value:
        """Return a member from which no answer is computed: `default` where it is absent, or not what `read` takes.

        >>> document = Document("manifests/1", {"rows": "many"})
        >>> document.for_people(document.number, "rows", 0)
        0
        """
        try:
            return read(member)
        except MalformedError:
            return default

    def has(self, member: str) -> bool:
        """Tell whether a member is there and is not null."""
        return self.members.get(member) is not None

    def text(self, member: str) -> str:
        """Return a member that is text."""
        value = self.members.get(member)
        if not isinstance(value, str):
            self.fail(f"has no text {member!r}")
        return value

    def number(self, member: str, limit: int = BEYOND_NUMBERS) -> int:
        """Return a member that is a whole number from 0 up to below `limit`."""
        value = self.members.get(member)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
            self.fail(f"has no whole number {member!r} below {limit}")
        return value

    def instant(self, member: str) -> int:
        """Return a member that is an instant, in whole seconds since 1970 up to the end of the year 9999."""
        return self.number(member, LAST_SECOND + 1)

    def hexadecimal(self, member: str, size: int) -> bytes:
        """Return a member that is `size` octets in lower-case hex."""
        return self._unhex(member, self.text(member), size)

    def each_hexadecimal(self, member: str, size: int) -> tuple[bytes, ...]:
        """Return a member that is a list of texts, each `size` octets in lower-case hex."""
        values = self.texts(member)
        whole, digits = "".join(values), 2 * size
        if set(map(len, values)) - {digits} or not _HEX.fullmatch(whole):
            self.fail(f"member {member!r} is not a list of hex texts of {size} octets")
        octets = bytes.fromhex(whole)
        return tuple(octets[at : at + size] for at in range(0, len(octets), size))

    def object_name(self, member: str, pattern: re.Pattern[str]) -> str:
        """Return a member that names another object of the store; nothing else may reach a store as a name."""
        value = self.text(member)
        if not pattern.fullmatch(value):
            self.fail(f"member {member!r} is not the name of such an object: {value!r}")
        return value

    def oid(self, member: str) -> str:
        """Return a member that is a dotted OID."""
        return self._check_oid(member, self.text(member))

    def oids(self, member: str) -> tuple[str, ...]:
        """Return a member that is a list of dotted OIDs."""
        return tuple(self._check_oid(member, value) for value in self.texts(member))

    def object_names(self, member: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        """Return a member that is a list of names of other objects of the store."""
        values = self.texts(member)
        if not all(map(pattern.fullmatch, values)):
            odd = next(value for value in values if not pattern.fullmatch(value))
            self.fail(f"member {member!r} has what is not the name of such an object: {odd!r}")
        return values

    def column(self, member: str, limit: int = BEYOND_NUMBERS) -> tuple[int, ...]:
        """Return a member that is a list of whole numbers from 0 up to below `limit`."""
        values = self._list(member)
        if set(map(type, values)) - {int} or (values and not (min(values) >= 0 and max(values) < limit)):
            self.fail(f"member {member!r} is not a list of whole numbers below {limit}")
        return tuple(values)

    def octets(self, member: str) -> bytes:
        """Return a member that is octets in base64."""
        return self._decode(member, self.text(member))

    def each_octets(self, member: str) -> tuple[bytes, ...]:
        """Return a member that is a list of octets in base64."""
        return tuple(self._decode(member, value) for value in self.texts(member))

    def texts(self, member: str) -> tuple[str, ...]:
        """Return a member that is a list of texts."""
        values = self._list(member)
        if set(map(type, values)) - {str}:
            self.fail(f"member {member!r} is not a list of texts")
        return tuple(values)

    def numbers(self, member: str) -> tuple[tuple[int, ...], ...]:
        """Return a member that is a list of lists of whole numbers."""
        rows = self._list(member)
        for row in rows:
            if not isinstance(row, list) or not all(type(one) is int and 0 <= one < BEYOND_NUMBERS for one in row):
                self.fail(f"member {member!r} is not a list of lists of whole numbers")
        return tuple(tuple(row) for row in rows if isinstance(row, list))

    def child(self, member: str) -> "Document":
        """Return a member that is an object."""
        return Document(self.name, self.members.get(member), self._path(member))

    def children(self, member: str) -> Iterator["Document"]:
        """Yield the objects of a member that is a list of them."""
        for i, value in enumerate(self._list(member)):
            yield Document(self.name, value, f"{self._path(member)}[{i}]")

    def octets_by_oid(self, member: str) -> dict[str, bytes]:
        """Return a member that maps dotted OIDs to octets in base64."""
        inner = self.child(member)
        return {self._check_oid(member, key): inner.octets(key) for key in inner.members}

    def plain(self, member: str) -> dict[str, object]:
        """Return a member that is an object, as it is: for people and tools, nothing is computed from it."""
        return dict(self.child(member).members)

    def _decode(self, member: str, value: str) -> bytes:
        try:
            octets = base64.b64decode(value, validate=True)
        except ValueError:  # also of a text that is not ASCII, which is no binascii.Error
            self.fail(f"has no base64 text {member!r}")
        if base64_text(octets) != value:  # there are bits behind the last octet, which have no meaning
            self.fail(f"has no base64 text {member!r} as its octets are written")
        return octets

    def _check_oid(self, member: str, value: str) -> str:
        if not _OID.fullmatch(value):
            self.fail(f"has no OID {member!r}: {value!r}")
        return value

    def _unhex(self, member: str, value: str, size: int) -> bytes:
        if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value):
            self.fail(f"has no hex text {member!r} of {size} octets")
        return bytes.fromhex(value)

    def _path(self, member: str) -> str:
        return f"{self.where}.{member}" if self.where else member

    def _list(self, member: str) -> list[Any]:
        value = self.members.get(member)
        if not isinstance(value, list):
            self.fail(f"has no list {member!r}")
        return value


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python would read although they are no JSON."""
    raise ValueError(f"{constant} is no number")
