"""The keys of a bucket as they are, which boto3 lists: obstore stops at the first one that is no path.

A key is any text. One that ends in a slash and is empty is a folder that some program marked; one with an empty segment
or a segment of dots can be listed and not be read.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pregen.credentials import aws_session
from storage.stores.s3_access import S3Access
from storage.stores.s3_faults import S3Answer, fault_of

if TYPE_CHECKING:
    from botocore.client import BaseClient

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

    def __init__(self, access: S3Access) -> None:
        """Open a client; no server is asked yet.

        Raises:
            PermissionError: no credentials, or ones that cannot be used.
        """
        from botocore.config import Config  # noqa: PLC0415  as of `pregen.credentials`

        style = {"addressing_style": "path"} if access.endpoint else None
        settings = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3}, s3=style)
        self._place = access.place
        self._client: BaseClient = aws_session(access.place.url).client(
            "s3", endpoint_url=access.endpoint, region_name=access.region or "us-east-1", config=settings
        )

    def list(self, prefix: str, most: int | None = None) -> Iterator[Listed]:
        """Yield all objects whose key begins so, or so many of them.

        Raises:
            OSError: they cannot be listed; as of `fault_of`.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        limit = {"MaxItems": most, "PageSize": most} if most else {}
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self._place.bucket, Prefix=prefix, PaginationConfig=limit)
        try:
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Listed(found["Key"], found["Size"], found.get("ETag"))
        except ClientError as error:
            said, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            answer = S3Answer(status, said.get("Code", ""), said.get("Message", ""))
            raise fault_of(answer, self._place, "", reading=True) from None
        except BotoCoreError as error:
            raise ConnectionError(f"{self._place.url}: no answer from {self._place.server}: {error}") from None
