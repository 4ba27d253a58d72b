"""Issuers, and who signs for them.

issuers.py        configuration to issuers, everything that is wrong found in one pass
certificates.py   certificate files, read
rules.py          what certificates must be and allow
keyfiles.py       private keys: where they are, and how they are opened
"""

from pregen.issuers.certificates import Certificate, parse_certificate, read_certificates, signed_with
from pregen.issuers.issuers import Issuer, Responder, inspect_issuers, load_issuers
from pregen.issuers.keyfiles import KeySource

__all__ = [
    "Certificate",
    "Issuer",
    "KeySource",
    "Responder",
    "inspect_issuers",
    "load_issuers",
    "parse_certificate",
    "read_certificates",
    "signed_with",
]
