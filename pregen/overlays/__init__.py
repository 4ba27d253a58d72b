"""What overlays say of certificates, and what counts where others say something else.

entries.py   what is said of certificates, in columns: of overlays, or of any records
records.py   read from the packs of a generation, with what its history says of them
order.py     the order of truth: an entry beside a row, or beside another entry
"""

from pregen.overlays.entries import NO_ENTRIES, Entries, Origin
from pregen.overlays.order import Truth, resolve
from pregen.overlays.records import read_overlays

__all__ = ["NO_ENTRIES", "Entries", "Origin", "Truth", "read_overlays", "resolve"]
