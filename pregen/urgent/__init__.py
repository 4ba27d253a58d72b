"""Urgent changes: what cannot wait for the next run becomes an overlay on top of the generation that is published.

changing.py      the conductor of revoke, hold and release, and what all changes share
delta.py         the conductor of delta; delta_gates.py is what gates say of its rows
mentions.py      which certificates a command line names, and orders.py, what is to become of them
ground.py        what a change stands on: issuers, store, and the head
elsewhere.py     under which other names and keys of the same CAs the head answers
place.py         where it works: the workers, and the folder where rows wait
published.py     what the head says of certificates, read record by record
deciding.py      what is to become of each, by pure rules
resolving.py     one range of keys in a worker: rows are held against the head, and what changes is spooled
refusing.py      what is said of certificates that cannot change so
overlaying.py    what changes is signed, stored and read back, as shards of a run are
merging.py       many overlays become one, by copying records (record_columns.py) that all have one set of tables
                 (united_tables.py)
landing.py       the overlay becomes part of a commit, on top of whatever the head is by then
"""

from pregen.urgent.changing import Changed, ChangeOptions, change
from pregen.urgent.delta import apply_delta
from pregen.urgent.mentions import Mention
from pregen.urgent.orders import Order

__all__ = ["ChangeOptions", "Changed", "Mention", "Order", "apply_delta", "change"]
