"""Make an example of real size and real oddity: 1,144 CAs, each in the name of a real one, and the certificates below.

    python tests/real_input/make.py FOLDER

Every real issuer (a name and a key) becomes a test CA with the same subject, octet for octet, and a key of its own,
which signs its answers itself; the algorithms of `SIGNING` go in turn. Those with RSA share one key, which is slow to
make. Every fifth CA has both CertIDs under one signature. Rows whose issuer is not known are dropped. No status comes
with the data: every 13th certificate (issuer and serial), in the order of the data and beginning with the first, is
revoked a day after its not_before, with the reasons of `REASONS` in turn. README.md tells where the data come from and
what to do next.
"""

import argparse
import functools
import itertools
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from asn1crypto import keys as asn1_keys
from asn1crypto import pem
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

DATA = Path(__file__).parent / "ca-certificates.parquet"
AS_OF = datetime(2026, 11, 24, tzinfo=UTC)
NOT_BEFORE, NOT_AFTER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)
REVOKED_EVERY = 13
REASONS = (None, 0, 1, 2, 3, 4, 5, 6, 9, 10)
CONFIGURATION = """\
# The snapshot is of 2026-11-24. On any other day: pregen run {name} --now 2026-11-24T00:00:00Z
[snapshot]
path = "{snapshot}"
as_of = 2026-11-24T00:00:00Z

[validity]
profile = "lab"                  # allows a --now that is far from the clock
lifetime = "4d"

[run]
workers = 1                      # the work is less than starting a second worker

[publish]
store = "{store}"
"""
ISSUER = """
[[issuer]]
name = "{name}"
certificate = "issuers/{name}.pem"
key = "keys/{name}.key"
"""
COMBINED_EVERY = 5
COMBINED = 'cert_ids = "combined"\n'
PSS = 'rsa_padding = "pss"\n'

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@functools.cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


class Signing(NamedTuple):
    """How a CA signs.

    Attributes:
        make_key: gives its key.
        settings: what its section of the configuration says of it.
    """

    make_key: Callable[[], Key]
    settings: str = ""


# More than the keys that any name has: so no two CAs are one name and one key, though those with RSA share theirs.
SIGNING = (
    Signing(lambda: ec.generate_private_key(ec.SECP256R1())),
    Signing(lambda: ec.generate_private_key(ec.SECP384R1())),
    Signing(ed25519.Ed25519PrivateKey.generate),
    Signing(_rsa_key),
    Signing(lambda: ec.generate_private_key(ec.SECP521R1())),
    Signing(_rsa_key, PSS),
)


class RealIssuer(NamedTuple):
    """What a CertID can tell apart: a DER name, and the SHA-1 of the real key's bits."""

    name: bytes
    key_sha1: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What was made.

    Attributes:
        folder: where it is.
        config: a configuration whose snapshot has not_after.
        config_without_not_after: the same with a snapshot that has not: nothing in it expires.
        rows: rows of the data.
        dropped: rows without a known issuer.
        issuers: names of the test CAs in the configuration, and the real issuers behind them.
    """

    folder: Path
    config: Path
    config_without_not_after: Path
    rows: int
    dropped: int
    issuers: Mapping[str, RealIssuer]


def make_example(folder: Path) -> Example:
    """Write certificates, keys, two snapshots and two configurations into a folder."""
    data = pq.read_table(DATA)
    known = data.filter(data["issuer_key_sha1"].is_valid())
    keys = [RealIssuer(row["issuer_name"], row["issuer_key_sha1"]) for row in known.to_pylist()]
    names = {issuer: f"ca-{number:04}" for number, issuer in enumerate(sorted(set(keys)), 1)}
    for part in ("issuers", "keys"):
        (folder / part).mkdir(parents=True)
    sections = []
    for number, (issuer, name) in enumerate(names.items()):
        signing = SIGNING[number % len(SIGNING)]
        _make_authority(folder, name, issuer.name, signing.make_key())
        combined = "" if number % COMBINED_EVERY else COMBINED
        sections.append(ISSUER.format(name=name) + signing.settings + combined)
    snapshot = _snapshot(known, [names[issuer] for issuer in keys])
    return Example(
        folder=folder,
        config=_write(folder, "pregen", snapshot, sections),
        config_without_not_after=_write(folder, "endless", snapshot.drop_columns(["not_after"]), sections),
        rows=data.num_rows,
        dropped=data.num_rows - known.num_rows,
        issuers={name: issuer for issuer, name in names.items()},
    )


def _snapshot(known: pa.Table, issuers: list[str]) -> pa.Table:
    """Return the canonical columns, with a status by the rule for each issuer and serial."""
    serials = known["serial"].to_pylist()
    certificates = list(zip(issuers, serials, strict=True))
    reasons = itertools.cycle(REASONS)
    revoked = {}
    first_seen = dict(zip(reversed(certificates), reversed(known["not_before"].to_pylist()), strict=True))
    for certificate in list(dict.fromkeys(certificates))[::REVOKED_EVERY]:
        revoked[certificate] = min(first_seen[certificate] + timedelta(days=1), AS_OF), next(reasons)
    rulings = [revoked.get(certificate, (None, None)) for certificate in certificates]
    return pa.table(
        {
            "issuer": pa.array(issuers, pa.string()).dictionary_encode(),
            "serial": known["serial"],
            "status": pa.array([int(at is not None) for at, _ in rulings], pa.uint8()),
            "revoked_at": pa.array([at for at, _ in rulings], pa.timestamp("ms", "UTC")),
            "reason": pa.array([reason for _, reason in rulings], pa.int8()),
            "not_after": known["not_after"],
        }
    )


def _write(folder: Path, stem: str, snapshot: pa.Table, sections: Iterable[str]) -> Path:
    pq.write_table(snapshot, folder / f"{stem}.parquet")
    config = folder / f"{stem}.toml"
    opening = CONFIGURATION.format(name=config.name, snapshot=f"{stem}.parquet", store=f"{stem}-store")
    config.write_text(opening + "".join(sections))
    return config


def _make_authority(folder: Path, name: str, subject: bytes, key: Key) -> None:
    """Write the certificate and the key of a test CA."""
    (folder / "issuers" / f"{name}.pem").write_bytes(pem.armor("CERTIFICATE", _self_signed(subject, key)))
    file = folder / "keys" / f"{name}.key"
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _self_signed(subject: bytes, key: Key) -> bytes:
    """Return the DER of a CA certificate. With asn1crypto: cryptography would write the name its own way."""
    name = asn1.Name.load(subject)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name_of_algorithm, sign = _certificate_signer(key)
    algorithm = {"algorithm": name_of_algorithm}
    body = asn1.TbsCertificate(
        {
            "version": "v3",
            "serial_number": secrets.randbits(126) + 1,
            "signature": algorithm,
            "issuer": name,
            "validity": {
                "not_before": asn1.Time("utc_time", NOT_BEFORE),
                "not_after": asn1.Time("utc_time", NOT_AFTER),
            },
            "subject": name,
            "subject_public_key_info": asn1_keys.PublicKeyInfo.load(spki),
            "extensions": [
                {"extn_id": "basic_constraints", "critical": True, "extn_value": {"ca": True}},
                {
                    "extn_id": "key_usage",
                    "critical": True,
                    "extn_value": {"digital_signature", "key_cert_sign", "crl_sign"},
                },
            ],
        }
    )
    whole = {"tbs_certificate": body, "signature_algorithm": algorithm, "signature_value": sign(body.dump())}
    certificate: bytes = asn1.Certificate(whole).dump()
    return certificate


def _certificate_signer(key: Key) -> tuple[str, Callable[[bytes], bytes]]:
    """Return what asn1crypto calls the algorithm that signs this CA's certificate, and what signs."""
    match key:
        case ec.EllipticCurvePrivateKey():
            digest = {256: SHA256(), 384: SHA384(), 521: SHA512()}[key.key_size]
            return f"{digest.name}_ecdsa", lambda message: key.sign(message, ec.ECDSA(digest))
        case rsa.RSAPrivateKey():
            return "sha256_rsa", lambda message: key.sign(message, padding.PKCS1v15(), SHA256())
        case ed25519.Ed25519PrivateKey():
            return "ed25519", key.sign


def main() -> int:
    """Make the example, and say what was made and what was left out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder to make")
    example = make_example(parser.parse_args().folder)
    sys.stdout.write(
        f"made {example.folder}: {len(example.issuers):,} CAs, and {example.rows - example.dropped:,} of "
        f"{example.rows:,} certificates; {example.dropped} were dropped, because their issuer is not known\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
