"""A small store with one certificate of every kind, for eight kinds of issuers."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from asn1crypto import x509 as asn1

from pregen.__main__ import main
from storage.certid import HASH_OIDS, CertID
from storage.reader import open_reader
from storage.stores import open_store
from tests.judges.parsers import Statement
from tests.pki import DAY, KeyKind, Party, make_issuer, make_key, make_responder

STATUSES = ("good", "revoked", "unknown")
CODES = (None, 0, 1, 2, 3, 4, 5, 6, 9, 10)
LIFETIME = timedelta(days=4)
CONFIGURATION = """
[snapshot]
path = "snapshot.parquet"

[validity]
lifetime = "4d"

[run]
workers = 1

[publish]
store = "store"
"""
SECTION = """
[[issuer]]
name = "{name}"
certificate = "{name}.pem"
key = "{key}"
{responder}
responder_id = "{responder_id}"
"""


class Kind(NamedTuple):
    """How an issuer has its answers signed."""

    key: KeyKind
    is_delegated: bool
    responder_id: str

    def __str__(self) -> str:
        return f"{self.key}-{'delegated' if self.is_delegated else 'issuer'}-{self.responder_id}"


KINDS = tuple(itertools.starmap(Kind, itertools.product(("p256", "rsa2048"), (True, False), ("by-key", "by-name"))))


@dataclass(frozen=True, slots=True)
class Row:
    """A certificate of the snapshot."""

    serial: int
    status: str
    reason: int | None = None

    @property
    def octets(self) -> bytes:
        """Content octets of the serial's DER INTEGER."""
        magnitude = self.serial if self.serial >= 0 else ~self.serial
        return self.serial.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True)


def rows() -> Iterator[Row]:
    """Yield every status with every reason, and every odd kind of serial with every status."""
    for number, code in enumerate(CODES):
        yield Row(0x5A << 120 | number, "revoked", code)
    for number, status in enumerate(STATUSES):
        yield Row(0x6B << 120 | number, status)
        for serial in (
            number,  # zero too
            1 << 7 | number,  # two octets, the first zero
            1 << 158 | number,  # 20 octets, the most that RFC 5280 allows
            1 << 159 | number,  # 21
            -1 - number,
            -(1 << 159) + number,  # 20 octets
            -(1 << 159) - 1 - number,  # 21
        ):
            yield Row(serial, status)


@dataclass(frozen=True, slots=True)
class Response:
    """A response from the store, and what it must say."""

    der: bytes
    meant: Statement


@dataclass(frozen=True, slots=True)
class Answered:
    """An issuer, who signs for it, and all its responses: those with a SHA-1 CertID at even places."""

    kind: Kind
    issuer: Party
    signer: Party
    certificate: Path
    responses: tuple[Response, ...]


def make_store(folder: Path) -> dict[Kind, Answered]:
    """Publish all certificates of all kinds of issuers in one run, and look all of them up."""
    now = datetime.now(UTC).replace(microsecond=0)
    parties = {kind: _parties(folder, kind, now) for kind in KINDS}
    (folder / "pregen.toml").write_text(CONFIGURATION + "".join(map(_section, KINDS)))
    _write_snapshot(folder / "snapshot.parquet", now)
    before = datetime.now(UTC).replace(microsecond=0)
    assert main(["run", str(folder / "pregen.toml"), "--as-of", f"{now:%Y-%m-%dT%H:%M:%SZ}"]) == 0
    after = datetime.now(UTC)
    reader = open_reader(open_store(str(folder / "store")))
    answered = {}
    for kind, (issuer, signer) in parties.items():
        responses = []
        for row, hash_name in itertools.product(rows(), HASH_OIDS):
            name_hash, key_hash = _issuer_hashes(issuer, hash_name)
            answer = reader.lookup(CertID(HASH_OIDS[hash_name], name_hash, key_hash, row.octets))
            assert answer is not None
            produced = datetime.fromtimestamp(answer.produced_at, UTC)
            assert before <= produced <= after
            meant = Statement(
                hash_name=hash_name,
                issuer_name_hash=name_hash,
                issuer_key_hash=key_hash,
                serial=row.serial,
                status=row.status,
                revoked_at=now - DAY if row.status == "revoked" else None,
                reason=row.reason or None,  # unspecified is absence (RFC 5280, 5.3.1)
                produced_at=produced,
                this_update=now,
                next_update=now + LIFETIME - timedelta(seconds=1),
                responder=_responder_id(signer, kind),
            )
            responses.append(Response(answer.der, meant))
        answered[kind] = Answered(kind, issuer, signer, folder / f"{kind}.pem", tuple(responses))
    return answered


def _parties(folder: Path, kind: Kind, now: datetime) -> tuple[Party, Party]:
    """Return issuer and signer, both written to the folder."""
    issuer = make_issuer(
        f"Example {kind}",
        key=make_key("p256" if kind.is_delegated else kind.key),
        not_before=now - 2 * DAY,
        not_after=now + 365 * DAY,
    )
    issuer.write(folder, str(kind))
    if not kind.is_delegated:
        return issuer, issuer
    responder = make_responder(issuer, key=make_key(kind.key), not_before=now - DAY, not_after=now + 60 * DAY)
    responder.write(folder, f"{kind}-ocsp")
    return issuer, responder


def _section(kind: Kind) -> str:
    responder = f'responder_certificate = "{kind}-ocsp.pem"' if kind.is_delegated else ""
    key = f"{kind}-ocsp.key" if kind.is_delegated else f"{kind}.key"
    return SECTION.format(name=kind, key=key, responder=responder, responder_id=kind.responder_id)


def _write_snapshot(path: Path, now: datetime) -> None:
    both = list(itertools.product(map(str, KINDS), rows()))
    columns = {
        "issuer": pa.array([name for name, _ in both]),
        "serial": pa.array([row.octets for _, row in both]),
        "status": pa.array([row.status for _, row in both]),
        "revoked_at": pa.array(
            [now - DAY if row.status == "revoked" else None for _, row in both], pa.timestamp("ms", "UTC")
        ),
        "reason": pa.array([row.reason for _, row in both], pa.int8()),
    }
    pq.write_table(pa.table(columns), path)


def _issuer_hashes(issuer: Party, hash_name: str) -> tuple[bytes, bytes]:
    digest = {"sha1": sha1, "sha256": sha256}[hash_name]
    body = asn1.Certificate.load(issuer.der)["tbs_certificate"]
    key_bits = body["subject_public_key_info"]["public_key"].contents[1:]
    return digest(body["subject"].dump()).digest(), digest(key_bits).digest()


def _responder_id(signer: Party, kind: Kind) -> bytes:
    body = asn1.Certificate.load(signer.der)["tbs_certificate"]
    if kind.responder_id == "by-name":
        name: bytes = body["subject"].dump()
        return name
    return sha1(body["subject_public_key_info"]["public_key"].contents[1:]).digest()
