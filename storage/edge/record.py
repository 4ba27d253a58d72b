"""What the log says of one request; the package's docstring is the policy."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from storage.certid import HASH_NAMES, CertID
from storage.reader import Answer

_MAX_TEXT = 200  # of what a client or a library may make as long as it likes


class OcspStatus(IntEnum):
    """OCSPResponseStatus (RFC 6960, 4.2.1)."""

    successful = 0
    malformedRequest = 1  # noqa: N815 - the names are the standard's, and go into the log
    internalError = 2  # noqa: N815 - as above
    tryLater = 3  # noqa: N815 - as above
    unauthorized = 6


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """What the log says of one request (see the package's logging policy), and what counts are made of.

    Attributes:
        answer: the stored answer that the client got, or has already; None: an error, or no OCSP at all.
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

    @property
    def alarm(self) -> bool:
        """Whether an operator must look."""
        return self.outcome in ALARMS

    def line(self, *, time: datetime, remote: str, microseconds: int) -> str:
        """Return the record as one line of JSON."""
        fields: dict[str, str | int | bool | None] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "remote": remote,
            "method": self.method[:_MAX_TEXT],
            "http": self.http,
        }
        if self.ocsp is not None:
            fields["ocsp"] = self.ocsp.name
        fields["outcome"] = self.outcome.value
        if self.cert_id is not None:
            fields |= _cert_id_fields(self.cert_id)
        if self.generation is not None:
            fields["generation"] = self.generation
        fields |= {"bytes": self.body_bytes, "microseconds": microseconds}
        if self.detail is not None:
            fields["detail"] = self.detail[:_MAX_TEXT]
        if self.alarm:
            fields["alarm"] = True
        return json.dumps(fields)


def _cert_id_fields(cert_id: CertID) -> dict[str, str]:
    return {
        "hash": HASH_NAMES.get(cert_id.hash_oid, cert_id.hash_oid),
        "issuer_name_hash": cert_id.issuer_name_hash.hex(),
        "issuer_key_hash": cert_id.issuer_key_hash.hex(),
        "serial": f"{cert_id.serial_number:x}",
    }
