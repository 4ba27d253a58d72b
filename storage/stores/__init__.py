"""Stores: where packs, tables, manifests and commits live. `base` is the contract."""

from storage.stores.address import BucketAddress, open_store, parse_address
from storage.stores.base import ObjectInfo, Store
from storage.stores.local import LocalStore
from storage.stores.memory import MemoryStore
from storage.stores.probe import probe_racing_creates
from storage.stores.remote import RemoteStore

__all__ = [
    "BucketAddress",
    "LocalStore",
    "MemoryStore",
    "ObjectInfo",
    "RemoteStore",
    "Store",
    "open_store",
    "parse_address",
    "probe_racing_creates",
]
