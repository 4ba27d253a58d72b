"""Issuers, and who signs for them.

issuers.py             configuration to issuers (issuer.py), everything that is wrong found in one pass
certificates.py        certificate files, read
certificate_rules.py   what certificates must be and allow
keyfiles.py            private keys in files, and how they are opened; which source a section means
ending.py              certificates that end soon
clients.py             what clients are known to refuse of what rules allow
"""

from pregen.issuers.certificates import Certificate, parse_certificate, read_certificates, serial_of, signed_with
from pregen.issuers.clients import client_warnings
from pregen.issuers.ending import ending_soon
from pregen.issuers.issuer import Issuer, Responder
from pregen.issuers.issuers import different_issuers, inspect_issuers, load_issuers
from pregen.issuers.keyfiles import KeyFile, key_source

__all__ = [
    "Certificate",
    "Issuer",
    "KeyFile",
    "Responder",
    "client_warnings",
    "different_issuers",
    "ending_soon",
    "inspect_issuers",
    "key_source",
    "load_issuers",
    "parse_certificate",
    "read_certificates",
    "serial_of",
    "signed_with",
]
