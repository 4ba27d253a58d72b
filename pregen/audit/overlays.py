"""Is what is said of overlays beside their packs what the packs hold: the keys that edges know, and the history?"""

import numpy as np
from numpy.typing import NDArray

from pregen.errors import VerificationError
from pregen.overlay_keys import merged, stored_keys, upper_halves
from storage.errors import MalformedError
from storage.history import read_index
from storage.overlay_keys import number_bytes
from storage.overlay_part import read_overlay_part
from storage.reader import Generation
from storage.stores import Store


def check_overlays(store: Store, generation: Generation) -> int:
    """Check the keys of overlays, and what the history says of their records; return how many parts that has.

    Raises:
        VerificationError: they are not those of the packs: edges would not find an urgent change, or the next run
            would not know of it.
        FormatError: they are damaged.
        FileNotFoundError: a part is missing.
        OSError: the store does not answer.
    """
    manifest = generation.manifest
    if not manifest.overlays:
        return 0
    keys = [stored_keys(store, one, generation.tables[one.windows]) for one in manifest.overlays]
    _check_array(generation, keys)
    index = read_index(store, manifest.history) if manifest.history else None
    if index is None or not index.overlays:
        return 0  # the publisher did not know of such
    if [part.pack for part in index.overlays] != [overlay.pack for overlay in manifest.overlays]:
        raise VerificationError(f"{manifest.history}: speaks of other overlays than those that are published")
    for part, own in zip(index.overlays, keys, strict=True):
        said = np.frombuffer(read_overlay_part(store, part).keys, "<u8")
        if (said[1:] < said[:-1]).any():
            raise MalformedError(part.name, "its keys are out of order")
        if not np.array_equal(said, np.sort(own)):
            raise VerificationError(f"{part.name}: speaks of other certificates than {part.pack} holds")
    return len(index.overlays)


def _check_array(generation: Generation, keys: list[NDArray[np.uint64]]) -> None:
    array = generation.overlay_keys
    if array is None:
        return  # edges search every overlay
    keys_octets, numbers_octets = merged([upper_halves(one) for one in keys])
    found = np.array(array.columns[0], np.uint32)
    wanted = np.frombuffer(keys_octets, "<u4")
    numbers = np.frombuffer(numbers_octets, f"<u{number_bytes(len(keys))}")
    if np.array_equal(found, wanted) and np.array_equal(np.array(array.columns[1], np.uint16), numbers):
        return
    lost = len(np.setdiff1d(wanted, found))
    what = (
        f"lacks {lost:,} of the {len(wanted):,} keys that the packs of overlays hold: edges answer from the shards "
        "what overlays say otherwise"
        if lost
        else "leads to other packs of overlays than those that hold the keys"
    )
    raise VerificationError(f"{generation.manifest.overlay_keys}: {what}; publish again: pregen run")
