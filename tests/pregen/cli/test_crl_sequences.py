"""Runs one after the other whose revocations CRLs tell."""

from datetime import timedelta

import pytest

from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Program, instants, octets
from tests.pregen.snapshot.crls.authority import Entry, forged, write

HOUR = timedelta(hours=1)


def make_crl(ca: Ca, made_after: timedelta) -> None:
    """Write a CRL with one entry, which it keeps when its certificate has expired."""
    made = ca.now + made_after
    entries = [Entry(serial=1, at=ca.now - 2 * DAY, reason=1)]
    write(ca.folder, "base.crl", forged(ca.issuer, entries, this_update=made, next_update=made + 6 * DAY))


@pytest.fixture
def running(ca: Ca, pregen: Program) -> Ca:
    """A CA that has published a list whose only revoked certificate expires soon."""
    ca.configure(snapshot={"kind": "crl", "path": "snapshot.parquet", "crls": "*.crl"}, validity={"profile": "lab"})
    make_crl(ca, -HOUR)
    ends = instants(ca.now + HOUR, ca.now + 30 * DAY)
    ca.export(serial=octets(1, 2), status=None, revoked_at=None, reason=None, not_after=ends)
    assert pregen("run", ca.config).code == 0
    make_crl(ca, DAY - HOUR)
    ca.export(
        as_of=ca.now + DAY,
        serial=octets(2),
        status=None,
        revoked_at=None,
        reason=None,
        not_after=instants(ca.now + 30 * DAY),
    )
    return ca


def test_where_entries_had_rows_before_those_of_expired_certificates_are_no_error(running: Ca, pregen: Program) -> None:
    now = ("--now", (running.now + DAY).isoformat())

    for _ in range(2):
        ended = pregen("run", running.config, *now)
        assert ended.code == 0, ended.err
        assert "warning crl.not-issued" in ended.err


@pytest.mark.parametrize("change", ["a new store", "another encoding"])
def test_where_serials_may_be_read_otherwise_no_entry_with_a_row_is_an_error(
    running: Ca, pregen: Program, change: str
) -> None:
    encoding = "unsigned-binary" if change == "another encoding" else "binary"
    columns = {"serial": {"name": "serial", "encoding": encoding}}
    running.configure(
        snapshot={"kind": "crl", "path": "snapshot.parquet", "crls": "*.crl", "columns": columns},
        validity={"profile": "lab"},
        publish={"store": "new" if change == "a new store" else "store"},
    )

    ended = pregen("run", running.config, "--now", (running.now + DAY).isoformat())

    assert (ended.code, "error crl.none-listed" in ended.err) == (3, True)
