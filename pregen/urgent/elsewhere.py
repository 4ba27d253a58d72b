"""Under which other names and keys of the same CAs the head answers, beside those that a change has to do with.

A serial number is unique for a CA (RFC 5280, 4.1.2.2), and a client may ask by any name and key that the CA has had. So
a certificate that is revoked by one of them, and good by another, is good to some. What a change cannot sign is looked
up all the same (`resolving.py`), and whoever is answered for there is told of (`refusing.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pregen.config import Config
from pregen.errors import ConfigError
from pregen.identities import identity_of
from pregen.issuers import Issuer, read_certificates
from pregen.names import name_key
from storage.certid import HASH_OIDS
from storage.key import issuer_id
from storage.reader import Generation
from storage.tables import StoredIssuer

_HASH = HASH_OIDS["sha256"]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A name and key of a CA under which the head answers, and a change does not.

    Attributes:
        issuer_id: what keys of its certificates are made with.
        label: what messages call it.
        rows_of: indices of the issuers of the change that are the same CA.
        is_configured: whether a section of the configuration has it, which does not answer for these issuers' rows.
        is_key: whether it is another key than theirs: else it is another encoding of their name.
    """

    issuer_id: int
    label: str
    rows_of: tuple[int, ...]
    is_configured: bool
    is_key: bool


def elsewhere_of(config: Config, current: Generation, issuers: Sequence[Issuer]) -> tuple[Elsewhere, ...]:
    """Return under which further names and keys of issuers a generation answers, by ascending ids."""
    mine = {issuer.issuer_id for issuer in issuers}
    others = {
        stored.issuer_id: stored
        for loaded in current.tables.values()
        for stored in loaded.tables.issuers
        if stored.issuer_id not in mine
    }
    found = []
    for number, stored in sorted(others.items()):
        alike = [index for index, one in enumerate(issuers) if not one.is_further_name and _is_one_ca(one, stored)]
        if alike:
            is_key = stored.key_hashes[_HASH] not in {issuers[index].key_hashes[_HASH] for index in alike}
            found.append(Elsewhere(number, stored.label, tuple(alike), is_configured=False, is_key=is_key))
    if not found:
        return ()
    ids, names = _configured(config)
    return tuple(
        replace(one, is_configured=one.issuer_id in ids or not names.isdisjoint(others[one.issuer_id].names))
        for one in found
    )


def _is_one_ca(issuer: Issuer, stored: StoredIssuer) -> bool:
    """Whether both have one name, in whatever encoding; where nobody kept a certificate, one label."""
    if stored.name_hashes[_HASH] == issuer.name_hashes[_HASH]:
        return True
    names = {name_key(subject) for der in stored.certificates if (subject := _subject(der)) is not None}
    return name_key(issuer.subject) in names if names else not set(stored.names).isdisjoint(issuer.names)


def _subject(der: bytes) -> bytes | None:
    try:
        return identity_of(der).subject
    except ValueError:
        return None


def _configured(config: Config) -> tuple[frozenset[int], frozenset[str]]:
    """Return the ids of all issuers whose certificates can be read, and the names of sections where one cannot.

    A section that cannot be read is in the configuration all the same: to say that this lacks it would be false, and
    would stop an urgent change of others. Its names are all that tells then which issuers it has.
    """
    ids: set[int] = set()
    names: set[str] = set()
    for section in config.issuer:
        for name in section.certificates:
            try:
                ids |= {issuer_id(one.subject, one.key_bits) for one in read_certificates(config.resolve(name))}
            except ConfigError:
                names |= set(section.names)
    return frozenset(ids), frozenset(names)
