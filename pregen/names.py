"""Whether two names are the same, whatever string types they are written in (RFC 5280, 7.1)."""

from functools import lru_cache

from asn1crypto import x509

# All of them seen from asn1crypto, for octets that are something else or are damaged.
_NO_NAME = (ValueError, TypeError, LookupError, AttributeError, OverflowError)


@lru_cache(maxsize=8_192)  # each CRL and anchor is compared with the names of all issuers
def name_key(der: bytes) -> str:
    """Return what is the same for names that are the same, of a DER Name; of other octets, their hex."""
    try:
        return str(x509.Name.load(der).hashable)
    except _NO_NAME:
        return der.hex()
