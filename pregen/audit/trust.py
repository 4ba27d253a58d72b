"""Whom to believe: from certificates that were named, or from those of a store itself, to the key that signs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from pregen import clock
from pregen.config import Config
from pregen.errors import VerificationError
from pregen.issuers.certificates import (
    EXTENDED_KEY_USAGE,
    OCSP_SIGNING,
    Certificate,
    parse_certificate,
    read_certificates,
    signed_with,
)
from pregen.names import name_key
from pregen.signers import PublicKey
from pregen.verification import load_public_key
from storage import key
from storage.certid import HASH_NAMES
from storage.document import LAST_SECOND
from storage.tables import StoredIssuer


class Trust:
    """The issuer certificates that verification starts from, by issuer id."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self.certificates = {key.issuer_id(one.subject, one.key_bits): one for one in certificates}

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> Self:
        """Trust the certificates of files."""
        return cls([one for path in paths for one in read_certificates(path)])

    @classmethod
    def of_config(cls, config: Config) -> Self:
        """Trust the issuer certificates of a configuration."""
        names = [name for section in config.issuer for name in section.certificates]
        return cls.of_files([config.resolve(name) for name in names])


class TrustedSigner(NamedTuple):
    """Who must have signed an issuer's responses, and when its certificate lets it, in seconds since 1970."""

    key: PublicKey
    not_before: int
    not_after: int


def responder_of(issuer: StoredIssuer, trust: Trust | None) -> TrustedSigner:
    """Return who must have signed an issuer's responses.

    Raises:
        VerificationError: the issuer is not among those that are trusted, or did not certify its responder.
    """
    stored = Path(f"certificate of {issuer.label} in the store")
    try:
        return _responder_of(issuer, trust, stored)
    except ValueError as e:
        raise VerificationError(f"{stored} cannot be read: {e}") from e


def _responder_of(issuer: StoredIssuer, trust: Trust | None, stored: Path) -> TrustedSigner:
    if trust is None:
        trust = Trust([parse_certificate(stored, der) for der in issuer.certificates])
    authority = trust.certificates.get(issuer.issuer_id)
    if authority is None:
        raise VerificationError(
            f"the store answers for {issuer.label}, whose certificate is not among the trusted ones: name it too"
        )
    _check_hashes(issuer, authority)
    if issuer.responder_certificate is None:
        # Its own end is no matter here: a cross-certificate of the same name and key may live longer.
        return TrustedSigner(load_public_key(authority.public_key), 0, LAST_SECOND)
    responder = parse_certificate(stored, issuer.responder_certificate)
    is_its_name = name_key(responder.issuer) == name_key(authority.subject)
    if not is_its_name or not signed_with(responder, authority.load_public_key()):
        raise VerificationError(f"the responder's certificate of {issuer.label} is not signed by its issuer")
    usage = responder.extensions.get(EXTENDED_KEY_USAGE)
    if usage is None or OCSP_SIGNING not in usage.names:
        raise VerificationError(f"the responder's certificate of {issuer.label} is not one for OCSP signing")
    return TrustedSigner(
        load_public_key(responder.public_key), clock.seconds(responder.not_before), clock.seconds(responder.not_after)
    )


def _check_hashes(issuer: StoredIssuer, authority: Certificate) -> None:
    """Refuse CertID hashes that are not those of the issuer's name and key: its clients would never match them."""
    for octets, hashes in ((authority.subject, issuer.name_hashes), (authority.key_bits, issuer.key_hashes)):
        for oid, stored in hashes.items():
            if stored != _digest(oid, octets):
                name = HASH_NAMES.get(oid, oid)
                raise VerificationError(f"the store has a {name} hash of {issuer.label} that is not the issuer's")


def _digest(oid: str, octets: bytes) -> bytes | None:
    name = HASH_NAMES.get(oid)
    return hashlib.new(name, octets, usedforsecurity=False).digest() if name else None
