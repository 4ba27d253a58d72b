"""Which certificate is asked about: its serial number, and all ways in which requests may name its issuer.

A CertID has hashes of the issuer's name and key, by a hash that the client chooses. Who the issuer is may be said by
its certificate, by its name in a configuration or a store, or by the hashes themselves. Of a certificate alone, only
the hash of its issuer's name is known, as it is written there.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.config import Config
from pregen.errors import UsageError
from pregen.issuers import Certificate, parse_certificate, read_certificates
from pregen.issuers.certificates import serial_of, signed_with
from pregen.lookup import serial_octets
from storage.certid import HASH_NAMES, serial_text
from storage.reader import Reader
from storage.tables import StoredIssuer

# What clients may hash with, by OID: the log has the names of `HASH_NAMES`, and the OIDs of all others.
HASHES: Final = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.5": "sha512_224",
    "2.16.840.1.101.3.4.2.6": "sha512_256",
    "2.16.840.1.101.3.4.2.7": "sha3_224",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}
_PAIR = re.compile(r"([0-9a-f]{2,128}):([0-9a-f]{2,128})", re.ASCII)
_HASH_BY_DIGITS = {40: "sha1", 64: "sha256"}


class IssuerHashes(NamedTuple):
    """How requests name an issuer by one hash, as the log writes it; no key: only the name is known."""

    hash: str
    name_hash: str
    key_hash: str | None


class _Known(NamedTuple):
    """An issuer that is known: its names, its subject and hashes, and its certificate, where there is one."""

    names: frozenset[str]
    subject: bytes
    hashes: list[IssuerHashes]
    certificate: Certificate | None = None


class Matches(NamedTuple):
    """Which rows are about a certificate, and about which nobody can say whether they are."""

    sought: NDArray[np.bool_]
    undecided: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """The certificate that is asked about.

    Attributes:
        serial: its number, as the log writes it.
        issuers: all that requests may say of its issuer.
        is_certain: whether a request with its serial and another issuer is about another certificate for certain.
        has_all_keys: whether this is so too where the issuer has its name and another key: not of a certificate, unless
            a key of the issuer that was named has signed it, for a CA may have had another key then.
    """

    serial: str
    issuers: frozenset[IssuerHashes]
    is_certain: bool
    has_all_keys: bool = True

    def matches(self, rows: pa.Table) -> Matches:
        """Return which rows, all of them with the serial, are about the certificate."""
        sought, known, namesakes = (np.zeros(rows.num_rows, np.bool_) for _ in range(3))
        for issuer in self.issuers:
            is_hash = is_text(rows, "hash", issuer.hash)
            found = is_hash & is_text(rows, "issuer_name_hash", issuer.name_hash)
            namesakes |= found
            if issuer.key_hash is not None:
                found = found & is_text(rows, "issuer_key_hash", issuer.key_hash)
            sought, known = sought | found, known | is_hash
        if self.is_certain and self.has_all_keys:
            return Matches(sought, ~sought & ~known)
        return Matches(sought, ~sought & (~known | namesakes) if self.is_certain else ~sought)


def is_text(rows: pa.Table, name: str, text: str) -> NDArray[np.bool_]:
    """Return in which rows a column says a text."""
    return np.asarray(pc.fill_null(pc.equal(rows[name], pa.scalar(text)), pa.scalar(value=False)))


def seek(
    *,
    cert: Path | None,
    issuer: str | None,
    serial: str | None,
    config: Config | None,
    open_reader: Callable[[], Reader] | None,
) -> Sought:
    """Return which certificate is meant.

    Args:
        cert: its file; or else `issuer` and `serial`.
        issuer: file of the issuer's certificate, its name in the configuration or the store, or its two hashes.
        serial: in hex.
        config: names issuers.
        open_reader: opens the store that names issuers.

    Raises:
        UsageError: not one certificate is named, or nobody knows the issuer.
        ConfigError: a certificate cannot be read.
        StorageError, OSError: the store cannot be read.
    """
    if (cert is None) == (serial is None) or (serial is not None and issuer is None):
        raise UsageError("say which certificate: --cert FILE, or --issuer NAME and --serial HEX")
    certificate = None if cert is None else read_certificates(cert)[0]
    known = list(_known(config, open_reader))
    if issuer is not None:
        meant = _issuer(issuer, known)
        found, is_certain = [one for each in meant for one in each.hashes], True
        has_all_keys = certificate is None or any(_has_signed(one, certificate) for one in meant)
    else:
        assert certificate is not None  # else an issuer is named
        found = [one for each in known if each.subject == certificate.issuer for one in each.hashes]
        is_certain, has_all_keys = bool(found), False
        found = found or list(_hashes(certificate.issuer, None))
    octets = serial_octets(serial or "") if certificate is None else serial_of(certificate)
    return Sought(
        serial=serial_text(octets), issuers=frozenset(found), is_certain=is_certain, has_all_keys=has_all_keys
    )


def _has_signed(issuer: _Known, certificate: Certificate) -> bool:
    """Return whether an issuer's key verifies a certificate; not where nobody can tell."""
    if issuer.certificate is None:
        return False
    try:
        return signed_with(certificate, issuer.certificate.load_public_key())
    except ValueError:  # a key or an algorithm that is beyond cryptography
        return False


def _issuer(word: str, known: list[_Known]) -> list[_Known]:
    """Return the issuer that a word means, once for each of its certificates.

    Raises:
        UsageError: nobody knows it.
        ConfigError: it is a file without a certificate.
    """
    if found := [one for one in known if word in one.names]:
        return found
    if pair := _PAIR.fullmatch(word.lower()):
        if len(pair[1]) != len(pair[2]) or len(pair[1]) not in _HASH_BY_DIGITS:
            text = "hashes of an issuer are those of its name and of its key, both SHA-1 or both SHA-256, in hex"
            raise UsageError(f"--issuer {word}: {text}")
        return [_Known(frozenset(), b"", [IssuerHashes(_HASH_BY_DIGITS[len(pair[1])], pair[1], pair[2])])]
    if Path(word).exists():
        return [_certified(frozenset(), one) for one in read_certificates(Path(word))]
    names = sorted({name for one in known for name in one.names})
    shown = f"there are {', '.join(names)}" if names else "name a file, or say --config CONFIG or --store STORE as well"
    raise UsageError(f"--issuer {word}: no file, and no issuer of that name is known: {shown}")


def _certified(names: frozenset[str], certificate: Certificate) -> _Known:
    hashes = list(_hashes(certificate.subject, certificate.key_bits))
    return _Known(names, certificate.subject, hashes, certificate)


def _known(config: Config | None, open_reader: Callable[[], Reader] | None) -> Iterator[_Known]:
    """Yield each issuer that is known."""
    for section in config.issuer if config is not None else ():
        for name in section.certificates:
            assert config is not None  # it has sections
            for one in read_certificates(config.resolve(name)):
                yield _certified(frozenset(section.names), one)
    if open_reader is not None:
        reader = open_reader()
        for loaded in reader.current.tables.values() if reader.current else ():
            for issuer in loaded.tables.issuers:
                yield from _stored(issuer)


def _stored(issuer: StoredIssuer) -> Iterator[_Known]:
    names = frozenset({*issuer.names, issuer.label})
    stored = [
        IssuerHashes(HASH_NAMES.get(oid, oid), octets.hex(), issuer.key_hashes[oid].hex())
        for oid, octets in issuer.name_hashes.items()
    ]
    yield _Known(names, b"", stored)
    for one in _parsed(issuer.certificates):
        yield _certified(names, one)


def _parsed(certificates: Iterable[bytes]) -> Iterator[Certificate]:
    for der in certificates:
        try:
            yield parse_certificate(Path("the store"), der)
        except ValueError:  # its hashes are known from the store itself
            continue


def _hashes(subject: bytes, key_bits: bytes | None) -> Iterator[IssuerHashes]:
    for oid, algorithm in HASHES.items():
        if algorithm not in hashlib.algorithms_available:
            continue
        name_hash, key_hash = (
            None if octets is None else hashlib.new(algorithm, octets, usedforsecurity=False).hexdigest()
            for octets in (subject, key_bits)
        )
        assert name_hash is not None  # there is a subject
        yield IssuerHashes(HASH_NAMES.get(oid, oid), name_hash, key_hash)
