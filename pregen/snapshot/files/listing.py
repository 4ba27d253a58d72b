"""The keys of a bucket as they are, which boto3 lists: obstore stops at the first one that is no path.

A key is any text. One that ends in a slash and is empty is a folder that some program marked; one with an empty segment
or a segment of dots can be listed and not be read.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pregen.credentials import aws_session

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

_NO_SUCH = frozenset({"NoSuchBucket", "404"})
_REDIRECTED = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_UNREADABLE = frozenset({"", ".", ".."})


class Listed(NamedTuple):
    """One object: its key, its size in octets, and its ETag as it was when it was listed."""

    key: str
    size: int
    e_tag: str | None


def is_readable(key: str) -> bool:
    """Whether a key can be read: its segments are names.

    >>> is_readable("day/a.parquet"), is_readable("day//a.parquet"), is_readable("day/")
    (True, False, False)
    """
    return _UNREADABLE.isdisjoint(key.split("/"))


def segments_of(key: str) -> tuple[str, ...]:
    """Return the segments of a key or a prefix, where it would lie if it could be read.

    >>> segments_of("day//./a.parquet")
    ('day', 'a.parquet')
    """
    return tuple(one for one in key.split("/") if one not in _UNREADABLE)


class Lister:
    """Lists one bucket. It belongs to the process that opened it."""

    def __init__(self, bucket: str, endpoint: str | None, region: str | None) -> None:
        """Open a client; no server is asked yet.

        Raises:
            PermissionError: no credentials, or ones that cannot be used.
            ConnectionError: the endpoint cannot be one.
        """
        from botocore.config import Config  # noqa: PLC0415  as of `pregen.credentials`

        style = {"addressing_style": "path"} if endpoint else None
        settings = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3}, s3=style)
        self._bucket, self._place = bucket, endpoint or f"Amazon S3 in {region or 'us-east-1'}"
        session = aws_session(f"s3://{bucket}")
        try:
            self._client: BaseClient = session.client(
                "s3", endpoint_url=endpoint, region_name=region or "us-east-1", config=settings
            )
        except ValueError as error:
            raise ConnectionError(f"s3://{bucket}: {error}: correct the endpoint") from None

    def list(self, prefix: str, most: int | None = None) -> Iterator[Listed]:
        """Yield all objects whose key begins so, or so many of them.

        Raises:
            PermissionError, ConnectionError: they cannot be listed.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        limit = {"MaxItems": most, "PageSize": most} if most else {}
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self._bucket, Prefix=prefix, PaginationConfig=limit)
        try:
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Listed(found["Key"], found["Size"], found.get("ETag"))
        except ClientError as error:
            raise self._refused(error) from None
        except BotoCoreError as error:
            raise ConnectionError(f"s3://{self._bucket}: no answer from {self._place}: {error}") from None

    def _refused(self, error: "ClientError") -> OSError:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        said = " ".join(part for part in (code, error.response["Error"].get("Message", "")) if part)
        if code in _NO_SUCH:
            return ConnectionError(
                f"s3://{self._bucket}: there is no bucket {self._bucket!r} at {self._place}: create it, or correct its "
                "name, the endpoint or the region"
            )
        if code in _REDIRECTED or status in {301, 307}:
            return ConnectionError("the bucket is in another region: set AWS_REGION, or s3.region in [snapshot]")
        if status in {401, 403}:
            return PermissionError(
                f"s3://{self._bucket}: not allowed: {said}: check the credentials and what they may do (s3:ListBucket)"
            )
        return ConnectionError(f"s3://{self._bucket}: no good answer from {self._place}: {said}")
