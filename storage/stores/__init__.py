"""Stores: where packs, tables, manifests and commits live.

base.py       the contract; terms.py is what all share of it
address.py    a URL to a store
local.py      a folder
remote.py     S3; remote_faults.py is what its errors mean
memory.py     for tests
probe.py      whether a store lets only one of two racing commits win
"""

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
