"""The incident, acted out: a CA, its two databases, and hours in which the sync between them delivers nothing.

Until a deployment the sync was right. From then on it asks "changed since the watermark" with the watermark in UTC,
and the API takes that for its local time, which is hours behind: whatever was issued in those hours seems older than
the watermark. So the hours between the deployment and now are exactly the offset of the zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from string import Template

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pregen import clock
from pregen.reasons import CRL_REASONS
from pregen.zones import utc_offset
from tests.incident.databases import Databases, Instants, Issued, to_local, to_utc

LOST = 6_450  # issued between the deployment and now
REVOKED_MEANWHILE = 24
MIN_ROWS = 5_000  # with fewer, single hours without issuance are nothing unusual
ISSUANCE_DAYS, VALID_DAYS = 20, 90
REVOKED_SHARE = 50  # one in so many
SYNC_EVERY_S = 300
LAST_PAUSE_S = 30  # before the deployment
ZONE, ZONE_WITHOUT_CHANGES = "America/Denver", "America/Phoenix"
_DAY_S, _HOUR_S = 86_400, 3_600
_SERIAL_BYTES = 16
_REASONS = (1, 4, 5, 9)
_FLAGS = {CRL_REASONS[flag.value]: flag for flag in x509.ReasonFlags}

CONFIGURATION = Template("""\
# $what, made by `make incident`. Paths are relative to this file.

[snapshot]
path = "$path"
$anchors
[snapshot.columns]
serial = { name = "serial", encoding = "hex" }
$columns
[[issuer]]
name = "demo-r1"
certificate = "issuer.pem"
responder_certificate = "ocsp.pem"
key = "ocsp.key"
rsa_padding = "$padding"
cert_ids = "$cert_ids"

[validity]
profile = "$profile"
lifetime = "4d"

[run]
workers = $workers

[publish]
store = "store"
""")
_ANCHORS = """
[[snapshot.anchor]]
certificate = "anchor.pem"

[[snapshot.anchor]]
crl = "issuer.crl"
"""


@dataclass(frozen=True, slots=True)
class Timeline:
    """When what happens, in seconds since 1970; `offset_s` is negative, as all zones in America are behind UTC."""

    now: int
    zone: str
    offset_s: int

    @property
    def deployed(self) -> int:
        """When the new code is deployed: as long ago as the API's clocks are behind UTC."""
        return self.now + self.offset_s

    @property
    def began(self) -> int:
        """When the first certificate was issued."""
        return self.deployed - ISSUANCE_DAYS * _DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the configurations say besides the snapshot."""

    padding: str = "pkcs1v15"
    cert_ids: str = "separate"
    profile: str = "strict"
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """The hours after the deployment.

    Attributes:
        issued: what was issued in them.
        revoked: which older certificates were revoked in them.
        syncs: how often the sync ran.
        delivered: how many rows it delivered in all.
    """

    issued: Issued
    revoked: tuple[str, ...]
    syncs: int
    delivered: int


def timeline(now: datetime) -> Timeline:
    """Return when what happens.

    In the day after a change of the clocks the API is elsewhere: an hour that is shown twice would be a story of its
    own.
    """
    at = clock.seconds(now)
    is_calm = utc_offset(ZONE, at) == utc_offset(ZONE, at - _DAY_S)
    zone = ZONE if is_calm else ZONE_WITHOUT_CHANGES
    return Timeline(at, zone, utc_offset(zone, at))


def act_until_deployment(databases: Databases, times: Timeline, rows: int, random: np.random.Generator) -> None:
    """Issue `rows` certificates, revoke some, and let the sync, which is still right, copy all of them."""
    issued = issue(random, rows, times.began, times.deployed - LAST_PAUSE_S, times.zone)
    databases.issue(issued)
    chosen = random.choice(rows, rows // REVOKED_SHARE, replace=False)
    since = issued.not_before[chosen]
    revoked_at = since + (random.random(len(chosen)) * (times.deployed - since)).astype(np.int64)
    reasons = random.choice(_REASONS, len(chosen)).tolist()
    databases.revoke([issued.serials[at] for at in chosen.tolist()], _shown_once(revoked_at, times.zone), reasons)
    databases.sync(times.deployed, is_right=True)


def act_since_deployment(databases: Databases, times: Timeline, random: np.random.Generator) -> Silence:
    """Issue and revoke certificates until now, and let the sync, which is wrong now, run every few minutes."""
    chosen = databases.responder.execute(
        "SELECT serial FROM certificates WHERE revoked_at IS NULL ORDER BY random() LIMIT ?", (REVOKED_MEANWHILE,)
    )
    revoked = [serial for (serial,) in chosen]
    revoked_at = np.sort(random.integers(times.deployed + 1, times.now, len(revoked)))
    issued = issue(random, LOST, times.deployed + 1, times.now, times.zone)
    runs = [*range(times.deployed + SYNC_EVERY_S, times.now, SYNC_EVERY_S), times.now]
    delivered, last = 0, times.deployed
    for run_at in runs:
        databases.issue(issued.during(last, run_at))
        first, end = np.searchsorted(revoked_at, [last, run_at], "right").tolist()
        databases.revoke(revoked[first:end], revoked_at[first:end], [1] * (end - first))
        delivered += databases.sync(run_at, is_right=False)
        last = run_at
    return Silence(issued, tuple(revoked), len(runs), delivered)


def issue(random: np.random.Generator, count: int, start: int, end: int, zone: str) -> Issued:
    """Return certificates that are issued from one instant until before another, the last one at the very end.

    More are issued by day than by night, and never evenly.
    """
    hours = np.append(np.arange(start, end, _HOUR_S), end)
    of_day = to_local(hours[:-1], zone) % _DAY_S // _HOUR_S
    rate = np.where((of_day >= 8) & (of_day < 18), 1.3, 0.8) * random.uniform(0.8, 1.2, len(of_day))
    reached = np.concatenate([[0.0], np.cumsum(rate * np.diff(hours))])
    times = np.interp(random.random(count) * reached[-1], reached, hours.astype(np.float64)).astype(np.int64)
    times[0] = end - 1
    not_before = np.sort(_shown_once(times, zone))
    octets = random.integers(0, 256, (count, _SERIAL_BYTES), dtype=np.uint8)
    octets[:, 0] = octets[:, 0] & 0x3F | 0x40  # positive, and of full length
    serials = tuple(row.hex() for row in map(bytes, octets))
    return Issued(serials, not_before, _shown_once(not_before + VALID_DAYS * _DAY_S, zone))


def make_anchors(
    folder: Path, key: ec.EllipticCurvePrivateKey, issued: Issued, databases: Databases, now: datetime
) -> None:
    """Write what the issuer has signed: the newest of these certificates as anchor.pem, and issuer.crl of all revoked.

    Args:
        folder: where to, and where issuer.pem is.
        key: the issuer's.
        issued: certificates of the API's database, in the order of issuance.
        databases: the two.
        now: thisUpdate of the CRL.
    """
    issuer = x509.load_pem_x509_certificate((folder / "issuer.pem").read_bytes())
    anchor = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")]))
        .issuer_name(issuer.subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(int(issued.serials[-1], 16))
        .not_valid_before(clock.instant(int(issued.not_before[-1])))
        .not_valid_after(clock.instant(int(issued.not_after[-1])))
        .sign(key, hashes.SHA256())
    )
    (folder / "anchor.pem").write_bytes(anchor.public_bytes(Encoding.PEM))
    crl = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject,
        last_update=now,
        next_update=now + timedelta(days=7),
        revoked_certificates=_entries(*databases.revoked()),
    )
    (folder / "issuer.crl").write_bytes(crl.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def write_exports(folder: Path, databases: Databases, times: Timeline) -> None:
    """Export both databases as of now: the responders', and the API's, once with times that wrongly say UTC."""
    databases.export_responder(folder / "responder-synced.parquet", times.now)
    databases.export_api(folder / "api-mislabelled.parquet", times.now, says_utc=True)
    databases.export_api(folder / "api-local.parquet", times.now, says_utc=False)


def write_configurations(folder: Path, zone: str, choices: Choices) -> None:
    """Write a configuration for each export: before, synced, mislabelled, unproved and declared.toml.

    They differ in [snapshot] alone.

    Args:
        folder: where to.
        zone: of the API's times.
        choices: what else they say.
    """
    # Which of two instants an hour is that clocks show twice, and which one an hour that they skip, must be stated.
    rule = 'ambiguous = "earliest", nonexistent = "shift-forward"'
    names = {"not_before": "issued_at", "not_after": "expires_at", "revoked_at": "revoked_at"}
    utc = "".join(f'{column} = "{name}"\n' for column, name in names.items())
    local = "".join(f'{column} = {{ name = "{name}", zone = "{zone}", {rule} }}\n' for column, name in names.items())
    variants = {
        "before": ("The responders' database before the deployment", "responder-before.parquet", "", ""),
        "synced": ("The responders' database after the deployment", "responder-synced.parquet", "", ""),
        "mislabelled": ("The API's database, its times taken for UTC", "api-mislabelled.parquet", _ANCHORS, utc),
        "unproved": ("The API's database, its zone declared", "api-local.parquet", "", local),
        "declared": ("The API's database, its zone declared and proved", "api-local.parquet", _ANCHORS, local),
    }
    rest = {
        "padding": choices.padding,
        "cert_ids": choices.cert_ids,
        "profile": choices.profile,
        "workers": choices.workers,
    }
    for name, (what, path, anchors, columns) in variants.items():
        text = CONFIGURATION.substitute(what=what, path=path, anchors=anchors, columns=columns, **rest)
        (folder / f"{name}.toml").write_text(text)


def _shown_once(instants: Instants, zone: str) -> Instants:
    """Return instants that the API's texts can tell: in an hour that clocks show twice, all happens the first time."""
    return to_utc(to_local(instants, zone), zone)


def _entries(
    serials: Sequence[str], revoked_at: Instants, reasons: Sequence[int | None]
) -> list[x509.RevokedCertificate]:
    entries = []
    for serial, at, reason in zip(serials, revoked_at.tolist(), reasons, strict=True):
        entry = x509.RevokedCertificateBuilder(int(serial, 16), clock.instant(at))
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(_FLAGS[reason]), critical=False)
        entries.append(entry.build())
    return entries
