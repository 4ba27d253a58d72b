"""What the log says of one request; the package's docstring is the policy."""

import json
from datetime import timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import NamedTuple

from storage.certid import HASH_NAMES, CertID, serial_text
from storage.document import EPOCH
from storage.reader import Answer

_MAX_TEXT = 200  # of what a client or a library may make as long as it likes


class OcspStatus(IntEnum):
    """OCSPResponseStatus (RFC 6960, 4.2.1)."""

    successful = 0
    malformedRequest = 1  # noqa: N815 - the names are the standard's, and go into the log
    internalError = 2  # noqa: N815 - as above
    tryLater = 3  # noqa: N815 - as above
    unauthorized = 6


_OCSP = {status: f', "ocsp": "{status.name}"' for status in OcspStatus}


class Outcome(StrEnum):
    """What became of a request, in the log."""

    ANSWERED = "answered"
    NOT_MODIFIED = "not-modified"
    NOT_STORED = "not-stored"
    UNKNOWN_HASH = "unknown-hash"
    MALFORMED = "malformed"
    NOTHING_PUBLISHED = "nothing-published"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    DAMAGED = "damaged"
    WRONG_ANSWER = "wrong-answer"
    DEFECT = "defect"
    PROBE = "probe"
    WRONG_METHOD = "wrong-method"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    GONE = "gone"

    __hash__ = str.__hash__  # that of an Enum is computed in Python, at each look into a dict


ALARMS = frozenset({Outcome.DAMAGED, Outcome.WRONG_ANSWER, Outcome.DEFECT})

HEARD = frozenset(
    {
        Outcome.ANSWERED,
        Outcome.NOT_MODIFIED,
        Outcome.NOT_YET_VALID,
        Outcome.EXPIRED,
        Outcome.WRONG_ANSWER,
        Outcome.DAMAGED,
    }
)
"""What nobody can say before the store has answered; of the other outcomes, some need no store."""


class LoggedRequest(NamedTuple):
    """What the log says of one request (see the package's logging policy), and what counts are made of.

    Attributes:
        answer: the stored answer that the client got, or has already; None: an error, or no OCSP at all.
        said: its `words`, where they have been put together already.
    """

    method: str
    outcome: Outcome
    http: int | None
    ocsp: OcspStatus | None = None
    cert_id: CertID | None = None
    generation: int | None = None
    body_bytes: int = 0
    detail: str | None = None
    answer: Answer | None = None
    said: str | None = None

    @property
    def alarm(self) -> bool:
        """Whether an operator must look."""
        return self.outcome in ALARMS

    def line(self, instant: float, remote: str, microseconds: int, worker: str, weight: int = 1) -> str:
        """Return the record as one line of JSON: what `json.dumps` would make of its fields, in this order.

        Args:
            instant: when the request was complete, in seconds since 1970.
            remote: who has asked.
            microseconds: how long the reply took.
            worker: which worker has replied, in letters that JSON leaves as they are.
            weight: for how many requests the line stands.
        """
        said, asked_at = self.said or self.words(), time_text(instant)
        end = ', "alarm": true}' if self.outcome in ALARMS else "}"
        if self.detail is not None:
            end = f', "detail": {json.dumps(self.detail[:_MAX_TEXT])}{end}'
        if weight != 1:
            end = f', "weight": {weight}{end}'
        asked = f'"time": "{asked_at}", "remote": {_quoted(remote)}, "worker": "{worker}"'
        return f'{{{asked}, {said}, "microseconds": {microseconds}{end}'

    def words(self) -> str:
        """Return what the line says between who answered, and how long it took."""
        http = "null" if self.http is None else self.http
        ocsp = "" if self.ocsp is None else _OCSP[self.ocsp]
        named = "" if self.cert_id is None else f'{_issuer_text(*self.cert_id[:3])}{serial_text(self.cert_id.serial)}"'
        generation = "" if self.generation is None else f', "generation": {self.generation}'
        method = _quoted(self.method[:_MAX_TEXT])
        status = "" if self.answer is None else f', "status": "{self.answer.status}"'
        outcome = f'"http": {http}{ocsp}, "outcome": "{self.outcome}"{status}'
        return f'"method": {method}, {outcome}{named}{generation}, "bytes": {self.body_bytes}'


def time_text(instant: float) -> str:
    """Return seconds since 1970 as RFC 3339 writes them in UTC, to the millisecond that has begun.

    >>> time_text(1_795_478_400.123_9)
    '2026-11-24T00:00:00.123Z'
    """
    second = int(instant)
    microsecond = round((instant - second) * 1_000_000)
    if microsecond == 1_000_000:
        second, microsecond = second + 1, 0
    return f"{_second_text(second)}.{microsecond // 1000:03d}Z"


@lru_cache(8)
def _second_text(second: int) -> str:
    return (EPOCH + timedelta(0, second)).isoformat().removesuffix("+00:00")


@lru_cache(1024)
def _quoted(text: str) -> str:
    return json.dumps(text)


@lru_cache(1024)
def _issuer_text(oid: str, name_hash: bytes, key_hash: bytes) -> str:
    """Return what is the same for all certificates of an issuer, and the beginning of what is not."""
    name = HASH_NAMES.get(oid, oid)
    hashes = f'"issuer_name_hash": "{name_hash.hex()}", "issuer_key_hash": "{key_hash.hex()}"'
    return f', "hash": {json.dumps(name)}, {hashes}, "serial": "'
