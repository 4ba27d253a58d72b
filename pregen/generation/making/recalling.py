"""A pack that an earlier attempt has stored, in the place of one that is signed: only where it would be the same.

All that a signature does not decide is made again from the rows, as for a pack that is signed now: which records there
are and in which order, serials, times, reasons, runs, buckets and checksums. The signatures are those of the stored
pack. What comes out must be the stored octets; then the read-back looks at it as at any other pack.
"""

import numpy as np

from pregen.generation.making.former import FormerPackError, read_former_pack
from pregen.generation.making.journal import Finished
from pregen.generation.making.layout import Layout, Numbers
from pregen.routing_key import serial_matrix
from pregen.signers import Octets
from storage.stores import Store


class Recalled:
    """The records of a pack of an earlier attempt, in the order of a layout.

    Args:
        store: where it is.
        finished: what the journal says of it.
        layout: of the rows that it must have.
        strides: intp[runs], octets of a record.

    Raises:
        FormerPackError: it is not there, is another one, or has other records.
        OSError: the store does not answer.
    """

    def __init__(self, store: Store, finished: Finished, layout: Layout, strides: Numbers) -> None:
        self.name = finished.shard.pack
        pack = read_former_pack(store, finished.shard, strides)
        if not np.array_equal(np.bincount(pack.runs, minlength=len(strides)), layout.counts):
            raise FormerPackError(f"{self.name}: holds records of other runs")
        self._octets = pack.octets
        self._starts = pack.starts[np.lexsort((pack.starts, pack.runs))]  # by run, then by key: as in a layout
        self._at = 0

    def block(self, rows: int, stride: int) -> Octets:
        """Return the records of the next block, uint8[rows, stride]."""
        starts = self._starts[self._at : self._at + rows]
        self._at += rows
        return serial_matrix(self._octets, starts, stride)

    def is_same(self, octets: bytearray) -> bool:
        """Tell whether a pack has these octets."""
        return self._octets.data == memoryview(octets)
