"""The instant of files that cannot hold it themselves: it stands in a small file beside the export."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from pregen import clock
from pregen.snapshot.files.base import FilePart, SnapshotFile, unusable
from pregen.snapshot.files.remote import open_bucket
from pregen.snapshot.files.search import fixed_segments
from pregen.snapshot.files.sources import looking_at
from pregen.snapshot.location import S3Object, s3_object
from storage.stores import StoreAddress, StoreOptions

_MOST_BYTES = 256  # no instant has so many


class DatedFile:
    """A file that says nothing about its instant, and the text that says it for it."""

    def __init__(self, file: SnapshotFile, as_of: str) -> None:
        """Take a file whose own `as_of` is None."""
        self._file = file
        self.as_of = as_of
        self.path = file.path
        self.unit: Literal["row", "line"] = file.unit
        self.schema = file.schema
        self.row_estimate = file.row_estimate
        self.first_row = file.first_row

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """Those of the file."""
        return self._file.parts

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        return self._file.batches(names, categories)


def as_of_beside(pattern: str, base: Path, name: str, options: StoreOptions, *, is_needed: bool) -> str | None:
    """Return what the file of that name says, which lies in the folder of a path, a glob or a folder of files.

    The folder of a glob is what stands before its first wildcard.

    Raises:
        InputError: it is not there although it is needed, cannot be read, or holds no instant.
    """
    if remote := s3_object(pattern):
        with looking_at(remote):
            place, octets = _remote(remote, name, options)
    else:
        place, octets = _local(pattern, base, name)
    if octets is None:
        if not is_needed:
            return None
        what = "there is no such file, which as_of_file in [snapshot] names: export it too, or give --as-of"
        raise unusable("as-of.missing", place, what)
    text = octets.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    try:
        return clock.text(clock.parse_instant(text))
    except ValueError as error:
        what = f"it holds something else than one instant: {error}; write RFC 3339, such as 2026-11-24T03:00:00Z"
        raise unusable("as-of.malformed", place, what) from None


def _local(pattern: str, base: Path, name: str) -> tuple[str, bytes | None]:
    named = base / pattern
    folder = named if named.is_dir() else named.parent
    if not named.exists():
        folder = base.joinpath(*fixed_segments(Path(pattern).parts))
    path = folder / name
    with looking_at(path):
        if not path.exists():
            return str(path), None
        with path.open("rb") as file:
            return str(path), file.read(_MOST_BYTES)


def _remote(named: S3Object, name: str, options: StoreOptions) -> tuple[str, bytes | None]:
    bucket = open_bucket(StoreAddress(f"s3://{named.bucket}", options))
    segments = tuple(named.key.rstrip("/").split("/")) if named.key.rstrip("/") else ()
    if segments and not named.key.endswith("/") and bucket.find(named.key):
        segments = segments[:-1]
    elif any(map(glob.has_magic, segments)):
        segments = tuple(fixed_segments(segments))
    own = "/".join((*segments, name))
    found = bucket.find(own)
    return str(S3Object(named.bucket, own)), None if found is None else found.head(_MOST_BYTES)
