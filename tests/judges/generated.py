"""A small store of every algorithm, layout and kind of signer: a few certificates each, and for some every odd one."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from asn1crypto import core
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pregen.__main__ import main
from pregen.signers import ALGORITHMS, PrivateKey, make_key
from storage.certid import HASH_OIDS, CertID
from storage.reader import Reader, open_reader
from storage.stores import LocalStore
from tests.judges.parsers import Statement
from tests.pki import DAY, Party, make_issuer, make_responder

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
responder_id = "{responder_id}"
cert_ids = "{cert_ids}"
"""
# Hashes of the CertIDs in each signed response of a certificate
LAYOUTS = {
    "separate": (("sha1",), ("sha256",)),
    "sha1": (("sha1",),),
    "sha256": (("sha256",),),
    "combined": (("sha1", "sha256"),),
}
SIGNERS = tuple(itertools.product((True, False), ("by-key", "by-name")))
THOROUGH = ("p256-sha256", "rsa2048-sha256")  # with every odd certificate, and with every kind of signer


class Kind(NamedTuple):
    """How an issuer has its answers signed."""

    algorithm: str
    cert_ids: str
    is_delegated: bool
    responder_id: str

    def __str__(self) -> str:
        return f"{self.algorithm}-{self.cert_ids}-{'delegated' if self.is_delegated else 'issuer'}-{self.responder_id}"


def kinds() -> Iterator[Kind]:
    """Yield every algorithm in every layout, the kinds of signers in turn; and all of these for some algorithms."""
    for number, algorithm in enumerate(ALGORITHMS):
        for place, cert_ids in enumerate(LAYOUTS):
            yield Kind(algorithm, cert_ids, *SIGNERS[(number + place) % len(SIGNERS)])
    for algorithm, signer in itertools.product(THOROUGH, SIGNERS):
        yield Kind(algorithm, "separate", *signer)


KINDS = tuple(dict.fromkeys(kinds()))


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


def rows(kind: Kind) -> Iterator[Row]:
    """Yield each status once, or every status with every reason, and every odd kind of serial with every status."""
    if kind.algorithm not in THOROUGH:
        yield from (
            Row(0x6B << 120 | at, status, 1 if status == "revoked" else None) for at, status in enumerate(STATUSES)
        )
        return
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
    """A response from the store, as it came for a CertID with this hash, and what it must say: all of it."""

    der: bytes
    hash_name: str
    statements: tuple[Statement, ...]

    @property
    def meant(self) -> Statement:
        """What it must say of the CertID that was asked for."""
        return next(one for one in self.statements if one.hash_name == self.hash_name)


@dataclass(frozen=True, slots=True)
class Answered:
    """An issuer, who signs for it, and the responses to every hash that it answers, for every certificate."""

    kind: Kind
    issuer: Party
    signer: Party
    certificate: Path
    responses: tuple[Response, ...]

    @property
    def signer_certificate(self) -> Path:
        """File with the certificate of who signs."""
        return self.certificate.with_name(f"{self.kind}-ocsp.pem") if self.kind.is_delegated else self.certificate


def make_store(folder: Path) -> dict[Kind, Answered]:
    """Publish all certificates of all kinds of issuers in one run, and look all of them up."""
    now = datetime.now(UTC).replace(microsecond=0)
    parties = {kind: _parties(folder, kind, now) for kind in KINDS}
    (folder / "pregen.toml").write_text(CONFIGURATION + "".join(map(_section, KINDS)))
    _write_snapshot(folder / "snapshot.parquet", now)
    before = datetime.now(UTC).replace(microsecond=0)
    accept = ["--accept", "serial.negative", "--accept", "profile", "--reason", "judges must read these too"]
    assert main(["run", str(folder / "pregen.toml"), "--as-of", f"{now:%Y-%m-%dT%H:%M:%SZ}", *accept]) == 0
    after = datetime.now(UTC)
    reader = open_reader(LocalStore(folder / "store"))
    answered = {}
    for kind, (issuer, signer) in parties.items():
        responses = tuple(
            response for row in rows(kind) for response in _look_up(reader, kind, issuer, signer, row, now)
        )
        assert all(before <= one.meant.produced_at <= after for one in responses)
        answered[kind] = Answered(kind, issuer, signer, folder / f"{kind}.pem", responses)
    return answered


def _look_up(reader: Reader, kind: Kind, issuer: Party, signer: Party, row: Row, now: datetime) -> Iterator[Response]:
    """Yield what is answered to each hash of the layout; to the other one there is no answer."""
    layout = {name: hash_names for hash_names in LAYOUTS[kind.cert_ids] for name in hash_names}
    for name, oid in HASH_OIDS.items():
        answer = reader.lookup(CertID(oid, *_issuer_hashes(issuer, name), row.octets))
        if name not in layout:
            assert answer is None
            continue
        assert answer is not None
        statements = []
        for hash_name in layout[name]:
            name_hash, key_hash = _issuer_hashes(issuer, hash_name)
            statement = Statement(
                hash_name=hash_name,
                issuer_name_hash=name_hash,
                issuer_key_hash=key_hash,
                serial=row.serial,
                status=row.status,
                revoked_at=now - DAY if row.status == "revoked" else None,
                reason=row.reason or None,  # unspecified is absence (RFC 5280, 5.3.1)
                produced_at=datetime.fromtimestamp(answer.produced_at, UTC),
                this_update=now,
                next_update=now + LIFETIME - timedelta(seconds=1),
                responder=_responder_id(signer, kind),
            )
            statements.append(statement)
        yield Response(answer.der, name, tuple(statements))


@functools.cache
def signing_key(kind_of_key: str) -> PrivateKey:
    """Return the one key of this kind: large RSA keys take their time."""
    return make_key(next(algorithm for algorithm in ALGORITHMS.values() if algorithm.key == kind_of_key))


def _parties(folder: Path, kind: Kind, now: datetime) -> tuple[Party, Party]:
    """Return issuer and signer, both written to the folder."""
    key = signing_key(ALGORITHMS[kind.algorithm].key)
    issuer = make_issuer(
        f"Example {kind}",
        key=None if kind.is_delegated else key,
        not_before=now - 2 * DAY,
        not_after=now + 365 * DAY,
    )
    issuer.write(folder, str(kind))
    if not kind.is_delegated:
        return issuer, issuer
    responder = make_responder(issuer, key=key, not_before=now - DAY, not_after=now + 60 * DAY)
    responder.write(folder, f"{kind}-ocsp")
    return issuer, responder


def _section(kind: Kind) -> str:
    key = f"{kind}-ocsp.key" if kind.is_delegated else f"{kind}.key"
    section = SECTION.format(name=kind, key=key, responder_id=kind.responder_id, cert_ids=kind.cert_ids)
    if kind.is_delegated:
        section += f'responder_certificate = "{kind}-ocsp.pem"\n'
    if padding := ALGORITHMS[kind.algorithm].padding:
        section += f'rsa_padding = "{padding}"\n'
    return section


def _write_snapshot(path: Path, now: datetime) -> None:
    both = [(str(kind), row) for kind in KINDS for row in rows(kind)]
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


def _key_bits(party: Party) -> bytes:
    """Return what a CertID hashes: the BIT STRING's content without the octet that counts unused bits."""
    spki = party.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bits: bytes = core.Sequence.load(spki)[1].contents[1:]
    return bits


def _issuer_hashes(issuer: Party, hash_name: str) -> tuple[bytes, bytes]:
    digest = {"sha1": sha1, "sha256": sha256}[hash_name]
    name = issuer.certificate.subject.public_bytes()
    return digest(name).digest(), digest(_key_bits(issuer)).digest()


def _responder_id(signer: Party, kind: Kind) -> bytes:
    if kind.responder_id == "by-name":
        return signer.certificate.subject.public_bytes()
    return sha1(_key_bits(signer)).digest()
