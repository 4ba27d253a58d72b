"""Where a file of a snapshot is: a path of this machine, or an object of a bucket."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias


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
