"""JSON documents of the format, read with a type for each member; unknown members are ignored (FORMAT.md)."""

import base64
import json
import re
from collections.abc import Iterator
from typing import NoReturn

from storage.errors import MalformedError

LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z: GeneralizedTime has four digits for the year


def encode(document: dict[str, object]) -> bytes:
    """Return a document as compact JSON in UTF-8, its members in the order given."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


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
            members = json.loads(octets.decode(), object_pairs_hook=_without_repetition, parse_constant=_refuse)
        except (ValueError, RecursionError) as e:
            raise MalformedError(name, f"is not JSON: {e}") from e
        return cls(name, members)

    def fail(self, detail: str) -> NoReturn:
        """Raise the error that says what is wrong with this object."""
        raise MalformedError(self.name, f"{self.where or 'document'} {detail}")

    def has(self, member: str) -> bool:
        """Tell whether a member is there and is not null."""
        return self.members.get(member) is not None

    def text(self, member: str) -> str:
        """Return a member that is text."""
        value = self.members.get(member)
        if not isinstance(value, str):
            self.fail(f"has no text {member!r}")
        return value

    def number(self, member: str, limit: int = 1 << 63) -> int:
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
        return tuple(self._unhex(member, value, size) for value in self.texts(member))

    def object_name(self, member: str, pattern: re.Pattern[str]) -> str:
        """Return a member that names another object of the store; nothing else may reach a store as a name."""
        value = self.text(member)
        if not pattern.fullmatch(value):
            self.fail(f"member {member!r} is not the name of such an object: {value!r}")
        return value

    def octets(self, member: str) -> bytes:
        """Return a member that is octets in base64."""
        return self._decode(member, self.text(member))

    def each_octets(self, member: str) -> tuple[bytes, ...]:
        """Return a member that is a list of octets in base64."""
        return tuple(self._decode(member, value) for value in self.texts(member))

    def texts(self, member: str) -> tuple[str, ...]:
        """Return a member that is a list of texts."""
        values = self._list(member)
        if not all(isinstance(value, str) for value in values):
            self.fail(f"member {member!r} is not a list of texts")
        return tuple(str(value) for value in values)

    def numbers(self, member: str) -> tuple[tuple[int, ...], ...]:
        """Return a member that is a list of lists of whole numbers."""
        rows = self._list(member)
        for row in rows:
            if not isinstance(row, list) or not all(type(value) is int and value >= 0 for value in row):
                self.fail(f"member {member!r} is not a list of lists of whole numbers")
        return tuple(tuple(row) for row in rows if isinstance(row, list))

    def child(self, member: str) -> "Document":
        """Return a member that is an object."""
        return Document(self.name, self.members.get(member), self._path(member))

    def children(self, member: str) -> Iterator["Document"]:
        """Yield the objects of a member that is a list of them."""
        for i, value in enumerate(self._list(member)):
            yield Document(self.name, value, f"{self._path(member)}[{i}]")

    def octets_by_key(self, member: str) -> dict[str, bytes]:
        """Return a member that maps texts to octets in base64."""
        inner = self.child(member)
        return {key: inner.octets(key) for key in inner.members}

    def plain(self, member: str) -> dict[str, object]:
        """Return a member that is an object, as it is: for people and tools, nothing is computed from it."""
        return dict(self.child(member).members)

    def _decode(self, member: str, value: str) -> bytes:
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:  # also of a text that is not ASCII, which is no binascii.Error
            self.fail(f"has no base64 text {member!r}")

    def _unhex(self, member: str, value: str, size: int) -> bytes:
        if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value):
            self.fail(f"has no hex text {member!r} of {size} octets")
        return bytes.fromhex(value)

    def _path(self, member: str) -> str:
        return f"{self.where}.{member}" if self.where else member

    def _list(self, member: str) -> list[object]:
        value = self.members.get(member)
        if not isinstance(value, list):
            self.fail(f"has no list {member!r}")
        return value


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a member that stands twice: readers in other languages would take the other one."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice in one object")
    return members


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python would read although they are no JSON."""
    raise ValueError(f"{constant} is no number")
