"""A CA of two issuers, r1 and r2, and a table of the certificates of both."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

from tests.pki import DAY, Party, make_issuer, make_responder
from tests.pregen.cli.ca import Ca, Outcome, Value, instants, octets

SECOND: dict[str, Value] = {
    "name": "r2",
    "certificate": "other.pem",
    "responder_certificate": "ocsp2.pem",
    "key": "ocsp2.key",
}


class Row(NamedTuple):
    """One certificate of the snapshot."""

    serial: int
    issuer: str = "r1"
    revoked_at: datetime | None = None
    reason: int | None = None
    status: int | None = None


def second_issuer(ca: Ca, **snapshot: Value) -> Party:
    """Give a CA an issuer more, and return it; `snapshot` are fields of that section."""
    other = make_issuer("Another CA", not_before=ca.now - 400 * DAY, not_after=ca.now + 365 * DAY)
    other.write(ca.folder, "other")
    make_responder(other, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY).write(ca.folder, "ocsp2")
    ca.configure(SECOND, snapshot=snapshot)
    return other


def export(ca: Ca, rows: Sequence[Row], *, as_of: datetime | None = None) -> None:
    """Write a snapshot; who has a time of revocation is revoked, unless a row says otherwise."""
    statuses = [int(row.revoked_at is not None) if row.status is None else row.status for row in rows]
    ca.export(
        serial=octets(*(row.serial for row in rows)),
        issuer=pa.array([row.issuer for row in rows]),
        status=pa.array(statuses, pa.uint8()),
        revoked_at=instants(*(row.revoked_at for row in rows)),
        reason=pa.array([row.reason for row in rows], pa.int8()),
        not_after=instants(*[ca.now + timedelta(days=30)] * len(rows)),
        as_of=as_of,
    )


def codes(outcome: Outcome) -> list[str]:
    """Return the codes of the errors that a run has ended with."""
    if outcome.code == 0:
        return []
    findings = outcome.error["findings"]
    assert isinstance(findings, list)
    return [one["code"] for one in findings if one["severity"] == "error"]
