"""Stores: where packs, tables, manifests and commits live.

base.py       the contract; terms.py is what all share of it
address.py    a URL to a store
local.py      a folder; mounts.py tells whether on a disk of this machine
s3.py         a bucket, imported where one is opened; s3_faults.py is what its errors mean, and server_clock.py
              what time it is there
memory.py     for tests
probe.py      whether a store lets only one of two racing commits win; imported by those who ask
"""

from storage.stores.address import BucketAddress, open_store, parse_address
from storage.stores.base import ObjectInfo, Store
from storage.stores.local import LocalStore
from storage.stores.memory import MemoryStore
from storage.stores.terms import NotAtHandError

__all__ = [
    "BucketAddress",
    "LocalStore",
    "MemoryStore",
    "NotAtHandError",
    "ObjectInfo",
    "Store",
    "open_store",
    "parse_address",
]
