"""What the certificates of an issuer and of its delegated responder must be, as remarks that become findings.

RFC 6960, 4.2.2.2 (who may sign); TLS Baseline Requirements, 7.1.2.8 (the responder's certificate: what it must and must
not be is an error where the issuer's profile is a public one, else a warning; what clients refuse is always an error);
Mozilla Root Store Policy, 5.1.3 (no SHA-1).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pregen import clock
from pregen.errors import Severity
from pregen.issuers.certificates import (
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    OCSP_NOCHECK,
    OCSP_SIGNING,
    Certificate,
    Extension,
    signature_digest,
    signed_with,
)
from pregen.names import name_key

_NULL = b"\x05\x00"
_VERSION_WITH_EXTENSIONS = 3
_NO_EXTENSION = Extension(critical=False, octets=b"")
_WEAK = frozenset({"md5", "sha1"})
# TLS Baseline Requirements, 7.1.2.8.2: must not be there, and is not recommended.
_FORBIDDEN = {
    "2.5.29.17": "a subject alternative name",
    "2.5.29.30": "name constraints",
    "2.5.29.31": "CRL distribution points",
}
_UNWANTED = {
    "2.5.29.32": "certificate policies",
    "1.3.6.1.5.5.7.1.1": "authority information access",
}


class Remark(NamedTuple):
    """What is wrong with the certificate in a file, and what to do."""

    code: str
    path: Path
    text: str
    severity: Severity = "error"


def issuer_remarks(certificates: Sequence[Certificate], *, signs_itself: bool, now: datetime) -> Iterator[Remark]:
    """Yield what is wrong with the certificates of one issuer, which all have one name and one key."""
    for certificate in certificates:
        yield from _authority(certificate)
        if signs_itself and not certificate.allows("digital_signature"):
            text = "has a key usage without digitalSignature, so the issuer cannot sign answers itself"
            yield Remark("issuer.key-usage", certificate.path, f"{text}: name a responder_certificate, and its key")
    # One that is valid is enough: cross-certificates come and go.
    if certificates and not any(one.not_before <= now <= one.not_after for one in certificates):
        latest = max(certificates, key=lambda one: one.not_after)
        if latest.not_after < now:
            text = f"expired at {clock.text(latest.not_after)}: remove the section, or add a newer certificate"
            yield Remark("issuer.expired", latest.path, text)
        else:
            text = f"is valid from {clock.text(latest.not_before)} on: wait for it, or check the clock"
            yield Remark("issuer.not-yet-valid", latest.path, text)


def responder_remarks(
    responder: Certificate, issuer: Certificate | None, now: datetime, *, is_public: bool
) -> Iterator[Remark]:
    """Yield what is wrong with a responder certificate.

    Args:
        responder: the certificate.
        issuer: any certificate of the issuer, if one is known.
        now: the current instant.
        is_public: whether the profile of the issuer is a public one, whose relying parties demand what the TLS Baseline
            Requirements do.
    """
    if issuer is not None and (responder.subject, responder.key_bits) == (issuer.subject, issuer.key_bits):
        text = "is a certificate of the issuer itself: leave responder_certificate out, then the issuer signs"
        yield Remark("responder.is-issuer", responder.path, text)
        return
    yield from _validity(responder, now)
    severity: Severity = "error" if is_public else "warning"
    yield from _purpose(responder, severity)
    if issuer is not None:
        yield from _issuance(responder, issuer)
    if departures := ", ".join(_departures(responder)):
        remedy = (
            "issue one that conforms (only profile lab, for tests, takes it)"
            if is_public
            else "mend it when it is renewed"
        )
        text = f"departs from the TLS Baseline Requirements, 7.1.2.8, with {departures}: {remedy}"
        yield Remark("responder.profile", responder.path, text, severity)
    if unwanted := ", ".join(name for oid, name in _UNWANTED.items() if oid in responder.extensions):
        text = f"has {unwanted}, which the TLS Baseline Requirements, 7.1.2.8, do not recommend: leave it out next time"
        yield Remark("responder.not-recommended", responder.path, text, "warning")


def _authority(certificate: Certificate) -> Iterator[Remark]:
    constraints = certificate.extensions.get(BASIC_CONSTRAINTS)
    if constraints is not None and "ca" not in constraints.names:
        yield Remark("issuer.not-ca", certificate.path, "is no CA certificate: name the certificate of the issuer")
    elif constraints is None and certificate.version >= _VERSION_WITH_EXTENSIONS:  # two real intermediates have none
        text = "does not say that it is a CA certificate: make sure that it is the issuer's"
        yield Remark("issuer.not-ca", certificate.path, text, "warning")


def _validity(responder: Certificate, now: datetime) -> Iterator[Remark]:
    if now > responder.not_after:
        text = f"expired at {clock.text(responder.not_after)}: renew it"
        yield Remark("responder.expired", responder.path, text)
    if now < responder.not_before:
        text = f"is valid from {clock.text(responder.not_before)} on: use the one before it, or check the clock"
        yield Remark("responder.not-yet-valid", responder.path, text)


def _purpose(responder: Certificate, severity: Severity) -> Iterator[Remark]:
    purposes = responder.extensions.get(EXTENDED_KEY_USAGE)
    if purposes is None or OCSP_SIGNING not in purposes.names:
        text = "lacks the extended key usage OCSPSigning, so no client accepts what it signs: issue one that has it"
        yield Remark("responder.no-eku", responder.path, text)
    nocheck = responder.extensions.get(OCSP_NOCHECK)
    if nocheck is None or nocheck.octets != _NULL:
        fault = "lacks id-pkix-ocsp-nocheck" if nocheck is None else "has an id-pkix-ocsp-nocheck that is not NULL"
        text = f"{fault}, so clients would ask for its own status: issue one that has it"
        yield Remark("responder.no-nocheck", responder.path, text, severity)
    if not responder.allows("digital_signature"):
        text = "has a key usage without digitalSignature: issue one that has it"
        yield Remark("responder.key-usage", responder.path, text)


def _issuance(responder: Certificate, issuer: Certificate) -> Iterator[Remark]:
    advice = f"use one that was issued by {issuer.path} directly"
    if name_key(responder.issuer) != name_key(issuer.subject):
        yield Remark("responder.wrong-issuer", responder.path, f"names another issuer: {advice}")
        return
    try:
        if not signed_with(responder, issuer.load_public_key()):
            text = f"names this issuer, but is not signed with its key: {advice}"
            yield Remark("responder.wrong-issuer", responder.path, text)
        elif (digest := signature_digest(responder)) in _WEAK:
            text = f"is signed with {digest}, which clients no longer trust: issue one that is signed with SHA-256"
            yield Remark("responder.weak-signature", responder.path, text)
    except ValueError as error:
        yield Remark("responder.unsupported", responder.path, f"cannot be checked ({error}): {advice}")


def _departures(responder: Certificate) -> Iterator[str]:
    usage = responder.extensions.get(KEY_USAGE)
    if usage is None:
        yield "no key usage"
    elif not usage.critical or usage.names - {"digital_signature"}:
        yield "a key usage that is not digitalSignature alone and critical"
    purposes = responder.extensions.get(EXTENDED_KEY_USAGE)
    if purposes is not None and purposes.names - {OCSP_SIGNING}:
        yield "further extended key usages"
    if "ca" in responder.extensions.get(BASIC_CONSTRAINTS, _NO_EXTENSION).names:
        yield "the right to issue certificates"
    if AUTHORITY_KEY_IDENTIFIER not in responder.extensions:
        yield "no authority key identifier"
    yield from (name for oid, name in _FORBIDDEN.items() if oid in responder.extensions)
