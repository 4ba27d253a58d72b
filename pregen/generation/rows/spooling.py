"""Opens the spool that rows of a command wait in, whatever kind it is."""

from contextlib import AbstractContextManager
from pathlib import Path

from pregen.generation.rows.bucket import store_spool
from pregen.generation.rows.spool import Spool, spool_folder
from storage.stores import StoreAddress


def open_spool(where: Path | StoreAddress, rows: int) -> AbstractContextManager[Spool]:
    """Give a spool in a folder, or in a store, with room for `rows` rows; see `spool_folder` and `store_spool`."""
    return spool_folder(where, rows) if isinstance(where, Path) else store_spool(where)
