"""Which files a path, a glob or a folder means, on this machine and on S3.

A path without wildcards that is there is itself: a file or an object, whatever its name, or a folder. Of a folder,
files with a known suffix count, and files without any (Hive, Impala, Trino) that begin as a table does, hidden ones
excepted; of its subfolders only where they are partitions ("deep"). What begins as a table under another suffix, has
the header of one as CSV, or is called a packed one, is neither read nor ignored: it might be half of an export.
"""

import errno
import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pregen.snapshot.files.base import unusable
from pregen.snapshot.files.found import Finds, FoundFile, FoundFiles, Wanted
from pregen.snapshot.files.lakes import kind_of, refuse_local, refuse_remote, refused
from pregen.snapshot.files.listing import is_readable, segments_of
from pregen.snapshot.files.remote import Bucket, RemoteSource, open_bucket
from pregen.snapshot.files.sources import looking_at
from pregen.snapshot.location import S3Object, s3_object
from storage.stores import StoreAddress, StoreOptions


def find_files(pattern: str, base: Path, wanted: Wanted, options: StoreOptions) -> FoundFiles:
    """Return the files that a path, a glob or a folder means; relative ones start at `base`, s3://bucket/... nowhere.

    Nothing is returned if nothing is there. What else is in a folder that is named itself is ignored; neither hidden
    files nor marks such as _SUCCESS are listed.

    Raises:
        InputError: a folder cannot be looked into, or a bucket not be listed.
        ValueError: it is neither a path nor on S3.
    """
    remote = s3_object(pattern)
    if remote:
        with looking_at(remote):
            return _find_remote(remote, wanted, options)
    with looking_at(base / pattern):
        found = _find_local(pattern, base, wanted)
        named = base / pattern
        refuse_local([*([named] if named.is_dir() else ()), *(Path(str(file.location)).parent for file in found.files)])
        return found


def _find_local(pattern: str, base: Path, wanted: Wanted) -> FoundFiles:
    finds = Finds()
    named = base / pattern
    if named.is_dir():
        _walk(named, (), wanted, frozenset(), finds)
    elif named.exists():
        finds.add(FoundFile(named))
    else:
        root = base.joinpath(*fixed_segments(Path(pattern).parts))
        for name in glob.glob(pattern, root_dir=base, recursive=True):  # noqa: PTH207 Path.glob takes no absolute patterns
            match = base / name
            folders = match.relative_to(root).parts if match != root else ()
            if match.is_dir():
                _walk(match, folders, wanted, frozenset(), finds)
            else:
                finds.add(FoundFile(match, folders[:-1]))
        finds.ignored.clear()  # a glob means what it matches
    return finds.sorted()


def fixed_segments(segments: Sequence[str]) -> Sequence[str]:
    """Return the segments of a pattern before the first wildcard, and never the last one.

    >>> fixed_segments(("day", "issuer=*", "part.csv"))
    ('day',)
    """
    count = next((at for at, one in enumerate(segments) if glob.has_magic(one)), len(segments))
    return segments[: min(count, len(segments) - 1)]


def _walk(
    folder: Path, folders: tuple[str, ...], wanted: Wanted, above: frozenset[tuple[int, int]], finds: Finds
) -> None:
    """Sort in what lies in a folder; links to folders are followed, once on each way down."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
    for path in folder.iterdir():
        if path.is_dir() and wanted.deep:
            if not wanted.is_hidden_folder(path.name):
                _walk(path, (*folders, path.name), wanted, above | {here}, finds)
        elif not path.is_dir():
            finds.sort_in(FoundFile(path, folders), wanted)
        elif not wanted.is_mark(path.name):
            finds.ignored.append(str(path))


def _find_remote(named: S3Object, wanted: Wanted, options: StoreOptions) -> FoundFiles:
    key = named.key
    try:
        address = StoreAddress(f"s3://{named.bucket}", options)
    except ValueError as error:
        raise unusable("snapshot.bad-address", "s3://", str(error)) from None
    if not is_readable(key.rstrip("/")) and key.rstrip("/"):
        what = "an object cannot be read whose key has an empty segment (//), or one of dots: write single slashes"
        raise unusable("snapshot.bad-address", named, what)
    bucket = open_bucket(address)
    segments = segments_of(key)
    is_pattern = any(map(glob.has_magic, segments))
    refuse_remote(named.bucket, fixed_segments(segments) if is_pattern else segments, bucket.first_below)
    if key and not key.endswith("/") and (found := bucket.find(key)):
        return FoundFiles((FoundFile(found.location, (), found),))
    if is_pattern and not _any(bucket.list("/".join(segments))):
        return _glob_remote(bucket, segments, wanted)
    finds = Finds()
    for source in _objects(bucket, segments, wanted):
        below = segments_of(source.location.key)[len(segments) :]
        _sort_in(source, below[:-1], wanted, finds)
    return finds.sorted()


def _objects(bucket: Bucket, folder: Sequence[str], wanted: Wanted) -> Iterator[RemoteSource]:
    """Yield the objects in a folder, less those that are empty and only say that there is a folder of that name.

    Raises:
        InputError: it holds a table with a log.
    """
    for source in bucket.list("/".join(folder)):
        names = segments_of(source.location.key)[len(folder) :]
        if kind := kind_of(names):
            raise refused(kind, S3Object(source.location.bucket, "/".join(folder)))
        if source.size or wanted.has(source.location.name):
            yield source


def _any(sources: Iterable[RemoteSource]) -> bool:
    return next(iter(sources), None) is not None


def _sort_in(source: RemoteSource, folders: tuple[str, ...], wanted: Wanted, finds: Finds) -> None:
    """Take an object of a folder, ignore it, or pass over it."""
    hidden = any(map(wanted.is_hidden_folder, folders))
    if wanted.deep or not folders:
        if not hidden:
            finds.sort_in(FoundFile(source.location, folders, source), wanted)
    elif not wanted.is_mark(folders[0]):  # a subfolder is named once, as on this machine
        segments = segments_of(source.location.key)
        named = str(S3Object(source.location.bucket, "/".join(segments[: len(segments) - len(folders)])))
        if named not in finds.ignored[-1:]:
            finds.ignored.append(named)


def _glob_remote(bucket: Bucket, segments: tuple[str, ...], wanted: Wanted) -> FoundFiles:
    """Return the objects that a pattern means, and those in the folders that it means."""
    fixed = fixed_segments(segments)
    pattern = [None if one == "**" else re.compile(fnmatch.translate(one)) for one in segments[len(fixed) :]]
    finds = Finds()
    for source in _objects(bucket, fixed, wanted):
        below = segments_of(source.location.key)[len(fixed) :]
        if _means(pattern, segments[len(fixed) :], below):
            finds.add(FoundFile(source.location, below[:-1], source))
            continue
        ends = range(1, len(below)) if wanted.deep else [len(below) - 1]
        in_folder = any(
            _means(pattern, segments[len(fixed) :], below[:end])
            and not any(map(wanted.is_hidden_folder, below[end:-1]))
            for end in ends
        )
        if in_folder:
            finds.sort_in(FoundFile(source.location, below[:-1], source), wanted)
    finds.ignored.clear()  # a glob means what it matches
    return finds.sorted()


def _means(pattern: "Sequence[re.Pattern[str] | None]", words: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a pattern, one expression a segment and None for any number of segments, means these names.

    As `glob` has it, wildcards do not mean hidden names.
    """
    if not pattern:
        return not names
    first = pattern[0]
    if first is None:
        return any(
            _means(pattern[1:], words[1:], names[count:])
            for count in range(len(names) + 1)
            if not any(name.startswith(".") for name in names[:count])
        )
    if not names or (names[0].startswith(".") and not words[0].startswith(".")):
        return False
    return first.match(names[0]) is not None and _means(pattern[1:], words[1:], names[1:])
