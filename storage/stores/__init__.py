"""Stores: where packs, tables, manifests and commits live.

base.py       the contract; wording.py is what all share of it
address.py    where a store is, as it travels; the registry of all kinds of stores; options.py is what no URL says
local.py      a folder; mounts.py tells whether on a disk of this machine
s3.py         a bucket, imported where one is opened; s3_url.py is where it is, s3_access.py how it is reached,
              s3_faults.py what its errors mean, and server_clock.py what time it is there
memory.py     for tests
probe.py      whether a store lets only one of two racing commits win; imported by those who ask

A further kind of store is a module with the store, a line in the registry of address.py, and a line in the conformance
suite (tests/storage/stores/test_conformance.py), which runs the contract against it.
"""

from storage.stores.address import StoreAddress, open_store
from storage.stores.base import ObjectInfo, ReadableStore, Store
from storage.stores.local import LocalStore
from storage.stores.memory import MemoryStore
from storage.stores.options import StoreOptions
from storage.stores.wording import NotAtHandError

__all__ = [
    "LocalStore",
    "MemoryStore",
    "NotAtHandError",
    "ObjectInfo",
    "ReadableStore",
    "Store",
    "StoreAddress",
    "StoreOptions",
    "open_store",
]
