"""An edge that loads a store, in a process without the signing code: `python bench/loading.py TOLD STORE OCTETS`."""

import json
import sys
import time
import zlib
from array import array
from pathlib import Path

from storage.edge.following.takeover import ServingReader
from storage.pack import PACK_MAGIC, PACK_VERSION, TRAILER, PackReader, bucket_count, pack_id
from storage.stores import StoreAddress, open_store


def load_edge(told: str, store: str, pack_bytes: int) -> None:
    """Load a store as an edge does; write the CPU seconds, and the memory of this process, in MiB.

    Packs of one certificate have next to no directory. So each is replaced by that of a pack of `pack_bytes` octets.
    """
    reader, started = ServingReader(open_store(StoreAddress(store))), time.process_time()
    reader.refresh()
    seconds, generation = time.process_time() - started, reader.current
    assert generation is not None
    for name in generation.packs:
        generation.packs[name] = _usual_pack(name, pack_bytes)
    held = {"cpu_s": seconds, "mib": memory_mib(), "packs": len(generation.packs)}
    Path(told).write_text(json.dumps(held))


def _usual_pack(name: str, octets: int) -> PackReader:
    buckets, identity = bucket_count(octets), pack_id(name)
    first = len(PACK_MAGIC)
    offsets = array("I", (first + number * octets // buckets for number in range(buckets + 1)))
    directory = offsets.tobytes() + TRAILER.pack(PACK_MAGIC, PACK_VERSION, 0, buckets, identity)
    at = offsets[-1]
    return PackReader(name, at + len(directory), directory, at, zlib.crc32(directory), lambda *_: b"")


def memory_mib(field: str = "VmRSS") -> float:
    """Return how much memory this process has, or has had (``VmHWM``)."""
    return int(Path("/proc/self/status").read_text().partition(f"{field}:")[2].split()[0]) / 2**10


if __name__ == "__main__":
    load_edge(sys.argv[1], sys.argv[2], int(sys.argv[3]))
