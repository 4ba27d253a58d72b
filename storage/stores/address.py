"""From the address of a store, as people write it, to the store."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from storage.stores.base import Store
from storage.stores.local import LocalStore
from storage.stores.remote import RemoteStore
from storage.stores.terms import is_name

if TYPE_CHECKING:
    from obstore.store import S3CredentialProvider

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_POSSIBLE = "possible are a path, file:///path and s3://bucket/prefix"


def scheme(address: str) -> str:
    """Return the scheme of an address in lower case, or nothing for a path.

    >>> scheme("s3://bucket/ca"), scheme("/var/lib/pregen"), scheme("./a:b")
    ('s3', '', '')
    """
    found = _SCHEME.match(address)
    return found.group(1).lower() if found else ""


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
    match scheme(address):
        case "":
            if not address:
                raise ValueError(f"the address of the store is empty: {_POSSIBLE}")
            return LocalStore(Path(address))
        case "file":
            return LocalStore(_path_of(address))
        case "s3":
            bucket, prefix = _bucket_and_prefix(address)
            _check_endpoint(endpoint)
            return RemoteStore(
                bucket, prefix, endpoint=endpoint, region=region, credential_provider=credential_provider
            )
        case other:
            raise ValueError(f"{other}: is no kind of store: {_POSSIBLE} (write ./a:b for a path with a colon)")


def _path_of(address: str) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise ValueError(f"{address!r} is not file:///path: three slashes, %23 for # and %3F for ?")
    return Path(unquote(parts.path))


def _bucket_and_prefix(address: str) -> tuple[str, str]:
    bucket, _, prefix = address.partition("://")[2].partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{bucket!r} cannot name a bucket: write s3://bucket/prefix, credentials go elsewhere")
    if prefix and not is_name(prefix):
        raise ValueError(f"{prefix!r} cannot be a prefix: segments of A-Z a-z 0-9 . _ - joined by single slashes")
    return bucket, prefix


def _check_endpoint(endpoint: str | None) -> None:
    if endpoint is None:
        return
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("the endpoint must be http://host:port or https://host:port, without credentials")
