"""One issuer as CertIDs and templates need it: its name, its key, its certificates, and who signs for it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pregen.config import IssuerConfig
from pregen.errors import Finding
from pregen.issuers.certificates import Certificate
from pregen.signers import ALGORITHMS, KeySource, KeyUse
from pregen.validity import Validity, ValidityWindow, plan_window
from storage.certid import SHA1, SHA256
from storage.key import issuer_id

_CERT_IDS = {
    "separate": ((SHA1,), (SHA256,)),
    "combined": ((SHA1, SHA256),),
    "sha1": ((SHA1,),),
    "sha256": ((SHA256,),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """Who signs the answers of one issuer.

    Attributes:
        certificate: DER, to be embedded; None where the issuer signs itself.
        public_key: the signer's DER SubjectPublicKeyInfo.
        id_kind: how answers name the signer.
        id_octets: by-key: SHA-1 of the signer's key bits; by-name: content octets of its subject's RDNSequence.
        key: where the private key is.
        algorithm: name of the signature algorithm (`pregen.signers.ALGORITHMS`).
    """

    certificate: bytes | None
    public_key: bytes
    id_kind: Literal["by-key", "by-name"]
    id_octets: bytes
    key: KeySource
    algorithm: str

    @property
    def use(self) -> KeyUse:
        """The key, and what it signs with."""
        return KeyUse(self.key, self.algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One name and one key.

    Attributes:
        names: what the issuer column of a snapshot calls it.
        certificates: DER, as configured; several for cross-certificates.
        subject: DER Name.
        key_bits: bits of the public key, as CertIDs hash them.
        issuer_id: first 8 octets, big-endian, of SHA-256(SHA-256(subject) || SHA-256(key_bits)).
        name_hashes, key_hashes: by dotted OID of the hash, SHA-1 and SHA-256 always.
        responder: who signs.
        cert_ids: for each signed response of a certificate, the OIDs of the CertID hashes that it answers, SHA-1 first.
        not_after: no window may end later.
        validity: what windows are to be like, by the configuration of this issuer.
        rows_of: indices of the issuers whose rows it answers for, beside its own.
        is_further_name: whether it is a further encoding of the name of one of these, and has no rows of its own.
        may_stay_behind: whether others may be published where this one cannot sign.
        trouble: why it cannot sign; empty: it can.
        faults: the same, by code.
        formers: of one that cannot sign, what else it has been when records were signed that it keeps.
    """

    names: tuple[str, ...]
    certificates: tuple[bytes, ...]
    subject: bytes
    key_bits: bytes
    issuer_id: int
    name_hashes: Mapping[str, bytes]
    key_hashes: Mapping[str, bytes]
    responder: Responder
    cert_ids: tuple[tuple[str, ...], ...]
    not_after: datetime
    validity: Validity
    rows_of: tuple[int, ...] = ()
    is_further_name: bool = False
    may_stay_behind: bool = False
    trouble: str = ""
    faults: tuple[Finding, ...] = ()
    formers: tuple["Issuer", ...] = ()

    @property
    def signatures_bytes(self) -> int:
        """What the signatures of one certificate take as stored, of all its responses together."""
        return len(self.cert_ids) * ALGORITHMS[self.responder.algorithm].signature_bytes

    def window(self, as_of: datetime, started: datetime, cap: datetime | None = None) -> ValidityWindow:
        """Return the window of what is signed now, as `plan_window` does; `cap` in the place of `not_after`.

        Raises:
            ConfigError, GateError: see `plan_window`.
        """
        return plan_window(
            profile=self.validity.profile.name,
            lifetime=self.validity.lifetime,
            backdate=self.validity.backdate,
            as_of=as_of,
            started=started,
            cap=cap or self.not_after,
        )


def make_issuer(
    section: IssuerConfig,
    validity: Validity,
    certificates: tuple[Certificate, ...],
    not_after: datetime,
    delegate: Certificate | None,
    responder: Responder,
    faults: Sequence[Finding] = (),
    *,
    may_stay_behind: bool = False,
) -> Issuer:
    """Return an issuer under one encoding of its name.

    It lives as long as the longest of its certificates, which is `not_after`, under any encoding: a client may build
    its chain over any of them, and a cross-certificate that ran out must not end the answers of all the others.
    """
    subject, key_bits = certificates[0].subject, certificates[0].key_bits
    return Issuer(
        names=section.names,
        certificates=tuple(certificate.der for certificate in certificates),
        subject=subject,
        key_bits=key_bits,
        issuer_id=issuer_id(subject, key_bits),
        name_hashes=_hashes(subject),
        key_hashes=_hashes(key_bits),
        responder=responder,
        cert_ids=_CERT_IDS[section.cert_ids],
        not_after=min(not_after, delegate.not_after) if delegate else not_after,
        validity=validity,
        may_stay_behind=may_stay_behind,
        trouble="; ".join(fault.message for fault in faults),
        faults=tuple(faults),
    )


def make_responder(
    section: IssuerConfig, delegate: Certificate | None, signer: Certificate, key: KeySource, algorithm: str
) -> Responder:
    """Return who signs: a delegate where there is one, whose certificate `signer` is then, or the issuer itself."""
    return Responder(
        certificate=delegate.der if delegate else None,
        public_key=signer.public_key,
        id_kind=section.responder_id,
        id_octets=_responder_id(signer, section.responder_id),
        key=key,
        algorithm=algorithm,
    )


def _responder_id(signer: Certificate, kind: Literal["by-key", "by-name"]) -> bytes:
    if kind == "by-key":  # SHA-1 by definition (RFC 6960, 4.2.1), whatever the CertIDs use
        return _sha1(signer.key_bits)
    return signer.subject_octets


def _hashes(octets: bytes) -> dict[str, bytes]:
    return {SHA1: _sha1(octets), SHA256: hashlib.sha256(octets).digest()}


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets, usedforsecurity=False).digest()
