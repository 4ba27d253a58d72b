"""What the URLs of a bucket and of a server of S3 may be; no client is needed to read them."""

import re
from urllib.parse import urlsplit

from storage.stores.wording import is_name

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix (may be empty) of a store on S3.

    >>> bucket_and_prefix("s3://bucket/ca/ocsp/")
    ('bucket', 'ca/ocsp')

    Raises:
        ValueError: it names none.
    """
    bucket, _, prefix = url.partition("://")[2].partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        # The text does not repeat it: people write credentials there.
        raise ValueError(
            "after s3:// the name of a bucket is needed, 3 to 63 characters of letters, digits, dot and hyphen: "
            "write s3://bucket/prefix, without credentials"
        )
    if prefix and not is_name(prefix):
        raise ValueError(f"{prefix!r} cannot be a prefix: segments of A-Z a-z 0-9 . _ - joined by single slashes")
    return bucket, prefix


def check_endpoint(endpoint: str) -> None:
    """Refuse what cannot be the address of a server.

    Raises:
        ValueError: it cannot.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        # Here, too, the text does not repeat it.
        raise ValueError("the endpoint must be http://host:port or https://host:port, without credentials")
