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
from pregen.signers import ALGORITHMS, make_key
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
cert_ids = "{cert_ids}"
{padding}

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
    algorithm: str
    cert_ids: str
    issuer: x509.Certificate
    server: x509.Certificate

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def publish(self, *, revoked: tuple[int, ...] = (REVOKED,), full: bool = False) -> None:
        """Publish a generation in which these are revoked; with `full`, all of it is signed."""
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
        padding = ALGORITHMS[self.algorithm].padding
        text = CONFIG.format(
            as_of=now,
            store=self.store,
            cert_ids=self.cert_ids,
            padding=f'rsa_padding = "{padding}"' if padding else "",
        )
        (self.folder / "pregen.toml").write_text(text)
        options = RunOptions(full=full)
        published = run(load_config(self.folder / "pregen.toml"), options, lambda _step, _done, _all: None)
        assert published.survey.certificates == len(serials)


def make_authority(folder: Path, algorithm: str = "p256-sha256", cert_ids: str = "separate") -> Authority:
    """Return a CA that has published its first generation, signed by this algorithm."""
    now = datetime.now(UTC).replace(microsecond=0)
    issuer = make_issuer(not_before=now - 2 * DAY, not_after=now + 365 * DAY)
    key = make_key(ALGORITHMS[algorithm])
    responder = make_responder(issuer, key=key, not_before=now - DAY, not_after=now + 60 * DAY)
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
    authority = Authority(folder, algorithm, cert_ids, issuer.certificate, server.certificate)
    authority.publish()
    return authority


def serve(authority: Authority, folder: Path) -> ServerProcess:
    """Return ``python -m storage.edge`` in front of the authority's store."""
    return start(folder, "-m", "storage.edge", str(authority.store), "--port", "PORT")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def edge(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serve(authority, tmp_path_factory.mktemp("edge")) as process:
        yield process


@pytest.fixture(scope="session")
def combined_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("combined"), cert_ids="combined")


@pytest.fixture(scope="session")
def combined_edge(combined_authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serve(combined_authority, tmp_path_factory.mktemp("combined-edge")) as process:
        yield process
