"""Opens the spool that rows of a command wait in, whatever kind it is, and removes what dead runs have left in one."""

from contextlib import AbstractContextManager
from pathlib import Path

from pregen import clock
from pregen.generation.rows.bucket import remove_abandoned, store_spool
from pregen.generation.rows.spool import Spool, remove_abandoned_folders, spool_folder
from storage.stores import LocalStore, StoreAddress, open_store


def open_spool(where: Path | StoreAddress, rows: int) -> AbstractContextManager[Spool]:
    """Give a spool in a folder, or in a store, with room for `rows` rows; see `spool_folder` and `store_spool`."""
    return spool_folder(where, rows) if isinstance(where, Path) else store_spool(where)


def remove_left(where: Path | StoreAddress, *, is_dry: bool = False) -> tuple[int, int]:
    """Remove what runs that were killed have left in a spool; return how many files or objects, and their octets.

    Raises:
        OSError, StorageError: the store does not answer, or does not let us.
    """
    if isinstance(where, Path):
        said = LocalStore(where).clock_s(may_write=not is_dry)
        return remove_abandoned_folders(where, clock.seconds(clock.now()) if said is None else said, is_dry=is_dry)
    gone = remove_abandoned(open_store(where), is_dry=is_dry)
    return len(gone), sum(one.size_bytes for one in gone)
