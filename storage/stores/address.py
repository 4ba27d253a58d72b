"""From the address of a store, as people write it, to the store."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from storage.stores.base import Store
from storage.stores.local import LocalStore
from storage.stores.terms import is_name

if TYPE_CHECKING:
    from obstore.store import S3CredentialProvider

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_POSSIBLE = "possible are a path, file:///path and s3://bucket/prefix"


class BucketAddress(NamedTuple):
    """A bucket of S3, and the prefix of the store's objects in it (may be empty)."""

    bucket: str
    prefix: str


def parse_address(address: str) -> Path | BucketAddress:
    """Return where an address leads.

    >>> parse_address("s3://bucket/ca/ocsp/")
    BucketAddress(bucket='bucket', prefix='ca/ocsp')
    >>> parse_address("file:///var/lib/a%20b").as_posix(), parse_address("./a:b").as_posix()
    ('/var/lib/a b', 'a:b')

    Raises:
        ValueError: it leads nowhere; the text says what is possible.
    """
    found = _SCHEME.match(address)
    match found.group(1).lower() if found else "":
        case "" if address:
            return Path(address)
        case "":
            raise ValueError(f"the address of the store is empty: {_POSSIBLE}")
        case "file":
            return _path_of(address)
        case "s3":
            return _bucket_of(address)
        case other:
            raise ValueError(f"{other}: is no kind of store: {_POSSIBLE} (write ./a:b for a path with a colon)")


def open_store(
    address: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    credential_provider: "S3CredentialProvider | None" = None,
) -> Store:
    """Open the store at `address`; nothing is written, and no server is asked yet.

    Endpoint, region and credentials are for S3 alone; those not given come from the standard AWS_* variables.

    Raises:
        ValueError: the address or the endpoint cannot be one; the text says what is possible.
        PermissionError: there are no credentials for S3.
    """
    place = parse_address(address)
    if isinstance(place, Path):
        return LocalStore(place)
    from storage.stores.s3 import S3Store  # noqa: PLC0415 - a client of S3 costs as much as the rest of a lookup

    return S3Store(
        place.bucket, place.prefix, endpoint=endpoint, region=region, credential_provider=credential_provider
    )


def _path_of(address: str) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise ValueError(f"{address!r} is not file:///path: three slashes, %23 for # and %3F for ?")
    return Path(unquote(parts.path))


def _bucket_of(address: str) -> BucketAddress:
    bucket, _, prefix = address.partition("://")[2].partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        # The text does not repeat it: people write credentials there.
        raise ValueError(
            "after s3:// the name of a bucket is needed, 3 to 63 characters of letters, digits, dot and hyphen: "
            "write s3://bucket/prefix, without credentials"
        )
    if prefix and not is_name(prefix):
        raise ValueError(f"{prefix!r} cannot be a prefix: segments of A-Z a-z 0-9 . _ - joined by single slashes")
    return BucketAddress(bucket, prefix)
