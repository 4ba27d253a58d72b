"""A certification authority that publishes night after night, for the tests of what is carried over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import load_pem_x509_certificate, ocsp

from pregen.clock import seconds
from pregen.config import load_config
from pregen.generation import Published, RunOptions, run
from pregen.issuers import load_issuers
from pregen.snapshot import RowStatus
from storage.certid import SHA1, SHA256, CertID
from storage.reader import Answer, Generation, open_reader
from storage.stores.local import LocalStore
from tests import pki
from tests.pregen.generation.workshop import NOW, Row, write_snapshot

REVOKED = RowStatus.REVOKED

DAY = timedelta(days=1)


def quiet(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""


@dataclass
class Nights:
    """A folder with issuers, a snapshot, a configuration and a store; what the fields say may change between nights."""

    folder: Path
    issuers: list[dict[str, str]] = field(default_factory=lambda: [{}])
    key: pki.KeyKind = "p256"
    validity: str = 'profile = "lab"\nlifetime = "7d"'
    refresh: str = ""
    snapshot: str = 'keep_expired = "0d"'

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authorities: list[pki.Party] = []
        self.responders: dict[int, pki.Party] = {}
        for number in range(len(self.issuers)):
            ca = pki.make_issuer(f"Example Root R{number}", key=pki.make_key(self.key))
            ca.write(self.folder, f"ca{number}")
            self.authorities.append(ca)
            self.new_responder(number)

    def new_responder(self, number: int = 0, key: pki.KeyKind | None = None) -> None:
        """Give an issuer another responder, with another key."""
        made = pki.make_responder(self.authorities[number], f"Example OCSP {number}", key=pki.make_key(key or self.key))
        made.write(self.folder, f"ocsp{number}")
        self.responders[number] = made

    def configure(self) -> Path:
        lines = [f'[snapshot]\npath = "s.parquet"\n{self.snapshot}', f"[validity]\n{self.validity}"]
        lines += ['[run]\nspool = "."\n[publish]\nstore = "store"']
        lines += [f"[refresh]\n{self.refresh}"] if self.refresh else []
        for number, section in enumerate(self.issuers):
            fields = {"name": f"r{number}", "certificate": f"ca{number}.pem"} | section
            if fields.pop("alone", ""):
                fields["key"] = f"ca{number}.key"
            else:
                fields |= {"responder_certificate": f"ocsp{number}.pem", "key": f"ocsp{number}.key"}
            lines += ["[[issuer]]", *(f"{name} = {_toml(value)}" for name, value in fields.items())]
        path = self.folder / "pregen.toml"
        path.write_text("\n".join(lines))
        return path

    def write(self, rows: Sequence[Row], as_of: datetime) -> None:
        write_snapshot(self.folder / "s.parquet", rows, as_of)

    def publish(self, night: float, rows: Sequence[Row], **options: Any) -> Published:
        """Publish rows of a night, counted in days."""
        now = NOW + night * DAY
        self.write(rows, options.pop("as_of", now))
        return run(load_config(self.configure()), RunOptions(**{"now": now, "workers": 1, **options}), quiet)

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.folder / "store")

    @property
    def generation(self) -> Generation:
        current = open_reader(self.store).current
        assert current is not None
        return current

    def answers(self, rows: Sequence[Row]) -> list[dict[str, Answer | None]]:
        """Return what a reader answers for each row, by the hash of the CertID."""
        issuers, generation = load_issuers(load_config(self.configure()), NOW)[0], self.generation
        return [
            {
                oid: generation.lookup(
                    CertID(oid, (one := issuers[row.issuer]).name_hashes[oid], one.key_hashes[oid], row.serial)
                )
                for oid in (SHA1, SHA256)
            }
            for row in rows
        ]

    def check(self, night: float, rows: Sequence[Row]) -> None:
        """Have cryptography verify that each row has its answers, that they hold, and that they say what it does."""
        now = seconds(NOW + night * DAY)
        for row, answers in zip(rows, self.answers(rows), strict=True):
            for answer in answers.values():
                assert answer is not None, row
                assert answer.this_update <= now <= answer.next_update
                assert_says(answer.der, row, self.signer(row.issuer))

    def signer(self, number: int) -> Any:
        alone = self.issuers[number].get("alone")
        name = f"ca{number}.pem" if alone else f"ocsp{number}.pem"
        return load_pem_x509_certificate((self.folder / name).read_bytes()).public_key()


def _toml(value: str) -> str:
    return value if value.startswith("{") else f'"{value}"'


def assert_says(der: bytes, row: Row, key: Any) -> None:
    """Verify one response by cryptography alone, and compare it with its row."""
    response = ocsp.load_der_ocsp_response(der)
    assert verifies(response, key)
    (single,) = response.responses
    assert single.serial_number == int.from_bytes(row.serial, "big", signed=True)
    status = (ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN)[row.status]
    assert single.certificate_status == status
    if row.status == REVOKED:
        assert single.revocation_time_utc is not None
        assert seconds(single.revocation_time_utc) == row.revoked_at
        assert (single.revocation_reason is not None) == (row.reason > 0)


def verifies(response: ocsp.OCSPResponse, key: Any) -> bool:
    """Tell whether a key has signed a response."""
    signature, data, hash_algorithm = response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hash_algorithm or hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hash_algorithm or hashes.SHA256())
        else:
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def records(generation: Generation) -> Iterator[bytes]:
    """Yield the octets of all packs of a generation."""
    for shard in generation.manifest.searched:
        yield shard.pack.encode()
