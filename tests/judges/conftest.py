"""A small authority with published answers, and an edge that serves them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography import x509

from pregen.config import load_config
from pregen.generation import RunOptions, run
from tests.pki import DAY, make_issuer, make_responder
from tests.storage.edge.processes import ServerProcess, start

GOOD, REVOKED, UNKNOWN, ABSENT = 0x11, 0x1234567890ABCDEF12, 0xFF, 0x77

CONFIG = """
[snapshot]
path = "snapshot.parquet"
as_of = {as_of:%Y-%m-%dT%H:%M:%SZ}

[[issuer]]
name = "r1"
certificate = "issuer.pem"
responder_certificate = "ocsp.pem"
key = "ocsp.key"

[validity]
profile = "strict"
lifetime = "4d"

[run]
workers = 1
engine = "software"

[publish]
store = "file://{store}"
"""


@dataclass(frozen=True)
class Authority:
    """A CA: an issuer, a delegated responder and a server certificate in a folder, and answers in a store."""

    folder: Path
    issuer: x509.Certificate
    server: x509.Certificate

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def publish(self, *, revoked: tuple[int, ...] = (REVOKED,)) -> None:
        """Sign and publish a generation in which these are revoked."""
        now = datetime.now(UTC).replace(microsecond=0)
        serials = [self.server.serial_number, GOOD, REVOKED, UNKNOWN]
        status = [1 if serial in revoked else 2 if serial == UNKNOWN else 0 for serial in serials]
        rows = {
            "serial": pa.array([serial.to_bytes(serial.bit_length() // 8 + 1, "big") for serial in serials]),
            "status": pa.array(status, pa.uint8()),
            "revoked_at": pa.array([now if one == 1 else None for one in status], pa.timestamp("ms", "UTC")),
            "reason": pa.array([1 if one == 1 else None for one in status], pa.int8()),
        }
        pq.write_table(pa.table(rows), self.folder / "snapshot.parquet")
        (self.folder / "pregen.toml").write_text(CONFIG.format(as_of=now, store=self.store))
        published = run(load_config(self.folder / "pregen.toml"), RunOptions(), lambda _step, _done, _all: None)
        assert published.responses == 2 * len(serials)


def make_authority(folder: Path) -> Authority:
    """Return a CA that has published its first generation."""
    now = datetime.now(UTC).replace(microsecond=0)
    issuer = make_issuer(not_before=now - 2 * DAY, not_after=now + 365 * DAY)
    responder = make_responder(issuer, not_before=now - DAY, not_after=now + 60 * DAY)
    server = make_issuer(
        "localhost",
        parent=issuer,
        uses=("digital_signature",),
        ca=None,
        not_before=now - DAY,
        not_after=now + 30 * DAY,
    )
    for party, stem in ((issuer, "issuer"), (responder, "ocsp"), (server, "server")):
        party.write(folder, stem)
    authority = Authority(folder, issuer.certificate, server.certificate)
    authority.publish()
    return authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def edge(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """``python -m storage.edge`` in front of the authority's store."""
    folder = tmp_path_factory.mktemp("edge")
    with start(folder, "-m", "storage.edge", str(authority.store), "--port", "PORT") as process:
        yield process
