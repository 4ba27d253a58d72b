"""What a CRL lists, where it is evidence beside the rows, and not what tells their status."""

from dataclasses import dataclass
from pathlib import Path

from pregen.snapshot.crls.crl import Crl
from pregen.snapshot.crls.crl_entries import CrlEntries


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """The entries of a CRL whose signature was checked, or some of them; it pickles.

    Attributes:
        path: the file it came from.
        issuer: index of the issuer that signed it; its entries are of all issuers of that name.
        this_update, next_update: seconds since 1970; no nextUpdate: None.
        scope: as of `Crl`.
        is_delta: whether it changes a base.
        entries: what it lists.
        is_superseded: whether a newer CRL tells what is on hold.
        tells_statuses: whether the rows have become what it says, so that they cannot contradict it.
    """

    path: Path
    issuer: int
    this_update: int
    next_update: int | None
    scope: bytes
    is_delta: bool
    entries: CrlEntries
    is_superseded: bool = False
    tells_statuses: bool = False

    @classmethod
    def of(cls, crl: Crl, issuer: int, entries: CrlEntries, *, is_superseded: bool = False) -> "RevocationList":
        """Return entries of a CRL, all or some, as evidence."""
        return cls(
            path=crl.path,
            issuer=issuer,
            this_update=crl.this_update,
            next_update=crl.next_update,
            scope=crl.scope,
            is_delta=crl.is_delta,
            entries=entries,
            is_superseded=is_superseded,
        )

    @classmethod
    def told(cls, path: Path, issuer: int, entries: CrlEntries) -> "RevocationList":
        """Return entries that rows have become, of whichever CRLs of a file."""
        return cls(
            path=path,
            issuer=issuer,
            this_update=0,
            next_update=None,
            scope=b"",
            is_delta=False,
            entries=entries,
            tells_statuses=True,
        )
