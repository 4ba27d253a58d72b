"""Issuers and who signs for them: certificates, what they must allow (rules.py), and private keys."""

from pregen.issuers.certificates import Certificate, parse_certificate, read_certificates, signed_with
from pregen.issuers.issuers import Issuer, Responder, inspect_issuers, load_issuers
from pregen.issuers.keyfiles import KeySource, PrivateKey

__all__ = [
    "Certificate",
    "Issuer",
    "KeySource",
    "PrivateKey",
    "Responder",
    "inspect_issuers",
    "load_issuers",
    "parse_certificate",
    "read_certificates",
    "signed_with",
]
