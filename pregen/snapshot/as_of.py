"""For which instant a snapshot is right: what is given, what its files and CRLs say, and whether that can be."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pregen import clock
from pregen.errors import Finding
from pregen.snapshot.files import AS_OF_KEY, LISTED_KEY, SnapshotFile
from pregen.validity import CLOCK_SKEW_S

_AS_OF = AS_OF_KEY.decode()


def find_as_of(
    given: datetime | None, files: tuple[SnapshotFile, ...], now: datetime, earliest: int | None, *, from_crls: bool
) -> tuple[datetime | None, tuple[Finding, ...]]:
    """Return the instant for which the snapshot is right, or what is wrong with it.

    A list of certificates needs no instant of its own where CRLs have one: `earliest`, in seconds since 1970; None
    where none of them can be used, too. The snapshot is right when all of its parts are.
    """
    found, findings = (given, []) if given else _as_of_files(files)
    if found is None and from_crls:
        findings = [finding for finding in findings if finding.code != "as-of.missing"]
    if found is not None and found > now + timedelta(seconds=CLOCK_SKEW_S):
        text = f"as_of {clock.text(found)} lies in the future (now: {clock.text(now)}): correct as_of, or the clock"
        findings.append(Finding("as-of.future", "error", text))
    if earliest is None:
        return found, tuple(findings)
    oldest = clock.instant(earliest)
    if given and given > oldest:
        text = (
            f"as_of {clock.text(given)} is later than the earliest thisUpdate of the CRLs that count, "
            f"{clock.text(oldest)}: nobody knows what was revoked since; fetch newer CRLs, give that as_of, or none"
        )
        findings.append(Finding("crl.before-as-of", "error", text))
    return (found if found and found < oldest else oldest), tuple(findings)


def instant_of_listing(files: tuple[SnapshotFile, ...], now: datetime) -> datetime:
    """Return the instant of a list of certificates: the latest that its files name, or `now` where one names none."""
    named: list[datetime] = []
    for file in files:
        try:
            named.append(now if file.as_of is None else clock.parse_instant(file.as_of))
        except ValueError:  # not asked for where as_of is given
            named.append(now)
    return min(max(named), now).astimezone(UTC).replace(microsecond=0)


def instant_of_imported_listing(files: Sequence[SnapshotFile], now: datetime) -> datetime | None:
    """Return the instant of the list of certificates that an import has joined with CRLs; None unless all files are."""
    named: list[datetime] = []
    for file in files:
        try:
            named.append(clock.parse_instant((file.schema.metadata or {})[LISTED_KEY].decode()))
        except (KeyError, ValueError):  # what no import wrote
            return None
    return min(max(named), now).astimezone(UTC).replace(microsecond=0)


def _as_of_files(files: tuple[SnapshotFile, ...]) -> tuple[datetime | None, list[Finding]]:
    """Return the one instant that all files name in their metadata, or what is wrong with that."""
    named: dict[datetime | None, SnapshotFile] = {}
    for file in files:
        try:
            named.setdefault(None if file.as_of is None else clock.parse_instant(file.as_of), file)
        except ValueError as error:
            text = f"{file.path}: metadata {_AS_OF} cannot be read: {error}; write RFC 3339, or give --as-of"
            return None, [Finding("as-of.malformed", "error", text)]
    match list(named.items()):
        case []:
            return None, []  # no file could be opened, which was said already
        case [(None, _)]:
            text = (
                "nothing says for which instant the snapshot is complete: give --as-of, set as_of in [snapshot], or "
                f"write the metadata key {_AS_OF} into the files (CSV and index.txt have none: as_of_file in "
                "[snapshot] names a file beside them)"
            )
            return None, [Finding("as-of.missing", "error", text)]
        case [(instant, _)]:
            return instant, []
        case [(one, first), (other, second), *_]:
            says = [
                f"{file.path} says {clock.text(at) if at else 'nothing'}"
                for at, file in ((one, first), (other, second))
            ]
            text = f"the files differ in as_of: {' and '.join(says)}: export them together, or give --as-of"
            return None, [Finding("as-of.differs", "error", text)]
    raise AssertionError  # pragma: no cover


def later_than_files(given: datetime, files: tuple[SnapshotFile, ...]) -> tuple[Finding, ...]:
    """Return a warning where a file says that it ends before the instant that is given for it."""
    for file in files:
        try:
            named = None if file.as_of is None else clock.parse_instant(file.as_of)
        except ValueError:  # not asked for where as_of is given
            continue
        if named is not None and given.replace(microsecond=0) > named:
            text = (
                f"{file.path}: its own as_of ({_AS_OF} in its metadata, or as_of_file) is {clock.text(named)}, but the "
                f"given one, {clock.text(given)}, counts: what was issued and revoked in between would be missing; "
                "unless the file's is wrong, leave as_of (--as-of) out"
            )
            return (Finding("as-of.later-than-file", "warning", text),)
    return ()
