"""Where a file of a snapshot is: a path of this machine, or an object of a bucket."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True, order=True)
class S3Object:
    """An object of S3. Its key is taken as it is: it may hold what no path can.

    >>> str(S3Object("bucket", "day/issuer=r%201/x y.parquet"))
    's3://bucket/day/issuer=r%201/x y.parquet'
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The last segment of its key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot; empty if it has none."""
        return PurePosixPath(self.name).suffix


Location: TypeAlias = Path | S3Object


def s3_object(address: str) -> S3Object | None:
    """Return what an address means on S3, where its key may be a folder's or a pattern; None: it is a path.

    >>> s3_object("s3://bucket/day/*.parquet"), s3_object("day/*.parquet")
    (S3Object(bucket='bucket', key='day/*.parquet'), None)

    Raises:
        ValueError: it is on neither.
    """
    found = _SCHEME.match(address)
    if found is None:
        return None
    if found[1].lower() != "s3":
        raise ValueError(f"{found[0]}: no snapshot can be there: write a path, or s3://bucket/prefix")
    bucket, _, key = address[found.end() :].partition("/")
    return S3Object(bucket, key)
