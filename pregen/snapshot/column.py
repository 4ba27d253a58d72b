"""Where each canonical column of a snapshot comes from, as the configuration says it: `Column`."""

from collections.abc import Mapping
from dataclasses import dataclass

from pregen.config import COLUMNS, ColumnConfig, SnapshotConfig
from pregen.config.columns import Ambiguous, Nonexistent

TOLD_BY_CRLS = ("status", "revoked_at", "reason")


@dataclass(frozen=True, slots=True)
class Column:
    """Where a canonical column comes from.

    Attributes:
        canonical: its name in the design of the snapshot.
        name: its name in the files.
        explicit: whether the configuration names it, so that it must be there.
        encoding: how a serial or a time is written; None: as the type says.
        values: what the configuration says about the values of a column of codes.
        zone: of times that name none; None: they are refused.
        ambiguous, nonexistent: what local times are that a clock change has doubled or skipped (`ColumnConfig`).
        time_of_day: of dates, ``HH:MM:SS``.
        absent: values that stand for "none", as the files write them.
        imported_zone: the one that was declared when an import made instants of its times; None: none was.
    """

    canonical: str
    name: str
    explicit: bool
    encoding: str | None = None
    values: Mapping[str, list[str]] | None = None
    zone: str | None = None
    ambiguous: Ambiguous = "error"
    nonexistent: Nonexistent = "error"
    time_of_day: str | None = None
    absent: tuple[str, ...] = ()
    imported_zone: str | None = None

    @property
    def declared_zone(self) -> str | None:
        """The zone that somebody has declared, here or before an import, and that may be the wrong one."""
        return self.zone or self.imported_zone


def columns_of(config: SnapshotConfig) -> Mapping[str, Column]:
    """Return all canonical columns as the configuration maps them."""
    columns = {}
    for canonical in COLUMNS:
        source = config.columns.get(canonical, ColumnConfig())
        entry = ColumnConfig(name=source) if isinstance(source, str) else source
        explicit = entry.name is not None or canonical in config.columns
        columns[canonical] = Column(
            canonical=canonical,
            name=entry.name or canonical,
            explicit=explicit,
            encoding=entry.encoding or ("binary" if canonical == "serial" else None),
            values=entry.values,
            zone=entry.zone,
            ambiguous=entry.ambiguous,
            nonexistent=entry.nonexistent,
            time_of_day=entry.time_of_day,
            absent=tuple(entry.absent or ()),
        )
    return columns


def listing(columns: Mapping[str, Column], *, from_crls: bool) -> Mapping[str, Column]:
    """Return the columns that are read: where revocations come from CRLs, none that tell them."""
    if not from_crls:
        return columns
    return {canonical: column for canonical, column in columns.items() if canonical not in TOLD_BY_CRLS}
