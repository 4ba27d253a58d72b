"""What clients are known to refuse of what the rules allow: docs/clients.md has the list, and how it was found."""

from collections.abc import Iterable, Iterator

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.issuers.issuer import Issuer
from storage.certid import SHA1

_COMBINED = (
    'cert_ids = "combined" is refused by HAProxy (2.6 to 3.5-dev), by Caddy and everything on ParseResponse of Go, by '
    "wolfSSL 5.5 and by easy-ocsp: their sites staple nothing, and those with must-staple certificates break"
)
_SHA256_ALONE = (
    'cert_ids = "sha256" is refused by Java 17, NSS 3.87, wolfSSL 5.5, HAProxy and curl 7.88: they ask by SHA-1, or '
    "accept nothing else"
)
_REMEDY = 'where such clients may come, write cert_ids = "separate" (docs/clients.md)'


def client_warnings(issuers: Iterable[Issuer]) -> Iterator[Finding]:
    """Yield a warning for each form of answers that clients of issuers under a public profile refuse."""
    public = [issuer for issuer in issuers if issuer.validity.profile.is_public]
    combined = [one.names[0] for one in public if any(len(hashes) > 1 for hashes in one.cert_ids)]
    alone = [one.names[0] for one in public if all(SHA1 not in hashes for hashes in one.cert_ids)]
    for code, text, names in (
        ("clients.combined", _COMBINED, combined),
        ("clients.sha256-alone", _SHA256_ALONE, alone),
    ):
        if names:
            yield Finding(code, "warning", f"{text}; {_REMEDY}", len(names), tuple(names[:MAX_EXAMPLES]))
