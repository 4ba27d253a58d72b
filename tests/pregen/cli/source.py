"""What a CA's database says, for tests of runs and urgent changes in any order."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from storage.reader import Generation, open_reader
from storage.stores.local import LocalStore
from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Outcome, Program, instants, octets

GOOD, OTHER, NEW = 0x1001, 0x1002, 0x1003
STATUSES = {"good": 0, "revoked": 1, "unknown": 2}


class Source:
    """What the CA's database says, exported when told; each snapshot is newer than all that was done before."""

    def __init__(self, ca: Ca, pregen: Program) -> None:
        self.ca, self.pregen = ca, pregen
        self.rows: dict[int, tuple[str, int | None]] = {GOOD: ("good", None), OTHER: ("good", None)}
        ca.configure(validity={"profile": "lab", "lifetime": "4d"}, gates={"growth": {"share": 99.0, "count": 99}})
        self.ends = dict.fromkeys((GOOD, OTHER, NEW), ca.now + 300 * DAY)

    def export(self, as_of: datetime | None = None) -> None:
        as_of = as_of or datetime.now(UTC).replace(microsecond=0)
        revoked = [as_of - timedelta(hours=1) if status == "revoked" else None for status, _ in self.rows.values()]
        self.ca.export(
            as_of=as_of,
            serial=octets(*self.rows),
            status=pa.array([STATUSES[status] for status, _ in self.rows.values()], pa.uint8()),
            revoked_at=instants(*revoked),
            reason=pa.array([reason for _, reason in self.rows.values()], pa.int8()),
            not_after=instants(*(self.ends[serial] for serial in self.rows)),
        )

    def run(self, *words: object, as_of: datetime | None = None) -> Outcome:
        self.export(as_of)
        return self.pregen("run", self.ca.config, "--json", *words)

    def change(self, command: str, serial: int, *words: object) -> Outcome:
        return self.pregen(command, self.ca.config, "--issuer", "r1", "--serial", f"{serial:x}", "--json", *words)

    def says(self, serial: int) -> tuple[str, object]:
        found = self.pregen("lookup", self.ca.store, "--issuer", self.ca.pem, "--serial", f"{serial:x}", "--json")
        assert found.code == 0, found.err
        return str(found.document["status"]), found.document.get("reason")

    def current(self) -> Generation:
        current = open_reader(LocalStore(self.ca.store)).current
        assert current is not None
        return current
