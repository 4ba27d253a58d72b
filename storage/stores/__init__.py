"""Stores: where packs, tables, manifests and commits live. `base` is the contract."""

from storage.stores.address import open_store
from storage.stores.base import ObjectInfo, Store
from storage.stores.local import LocalStore
from storage.stores.memory import MemoryStore
from storage.stores.probe import probe_racing_creates
from storage.stores.remote import RemoteStore

__all__ = [
    "LocalStore",
    "MemoryStore",
    "ObjectInfo",
    "RemoteStore",
    "Store",
    "open_store",
    "probe_racing_creates",
]
