"""Sightings: rows of a snapshot that are kept whole while the others are only counted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE, StatusBatch

# One row of the snapshot. A serial has `size` octets, the rest is zero; what is not given, and `own_zone`, are as
# in StatusBatch.
SIGHTING = np.dtype(
    [
        ("key", "<u8"),
        ("issuer", "<i4"),
        ("size", "u1"),
        ("serial", "u1", (21,)),
        ("not_before", "<i8"),
        ("not_after", "<i8"),
        ("revoked_at", "<i8"),
        ("own_zone", "u1"),
    ]
)
NO_SIGHTINGS = np.empty(0, SIGHTING)

Sightings = NDArray[np.void]


def sighted_serial(sighting: np.void) -> bytes:
    """Return the content octets of a sighted certificate's serial."""
    return bytes(sighting["serial"][: int(sighting["size"])])


def sighted(batch: StatusBatch, key: NDArray[np.uint64], rows: NDArray[np.intp]) -> Sightings:
    """Return some rows of a batch; `key`, uint64[n], are the keys of all of its rows."""
    sightings = np.zeros(len(rows), SIGHTING)
    sightings["key"], sightings["issuer"] = key[rows], batch.issuer[rows]
    for field_name in ("not_before", "not_after", "revoked_at"):
        sightings[field_name] = getattr(batch, field_name)[rows]
    if batch.own_zone is not None:
        sightings["own_zone"] = batch.own_zone[rows]
    _put_serials(sightings, [serial or b"" for serial in batch.serial.take(rows).to_pylist()])
    return sightings


def late_sightings(examples: tuple[tuple[bytes, int], ...]) -> Sightings:
    """Return late revocations: serials and times."""
    sightings = np.zeros(len(examples), SIGHTING)
    sightings["issuer"], sightings["not_before"], sightings["not_after"] = -1, NO_ISSUANCE, NO_EXPIRY
    sightings["revoked_at"] = [at for _, at in examples]
    _put_serials(sightings, [serial for serial, _ in examples])
    return sightings


def _put_serials(sightings: Sightings, serials: Sequence[bytes]) -> None:
    width = sightings.dtype["serial"].shape[0]
    sightings["size"] = list(map(len, serials))
    padded = b"".join(serial.ljust(width, b"\0") for serial in serials)
    sightings["serial"] = np.frombuffer(padded, np.uint8).reshape(-1, width)


def first_by_key(sightings: Sightings) -> Sightings:
    """Return the examples with the smallest keys; of equal keys, those with the earliest times."""
    order = np.lexsort((sightings["revoked_at"], sightings["not_before"], sightings["key"]))
    return sightings[order[:MAX_EXAMPLES]]


def latest_of_issuers(sightings: Sightings) -> Sightings:
    """Return of each issuer the one with the latest not_before; of equal ones, that with the smallest key."""
    order = np.lexsort((~sightings["key"], sightings["not_before"], sightings["issuer"]))
    ordered = sightings[order]
    is_last = np.ones(len(ordered), np.bool_)
    is_last[:-1] = ordered["issuer"][1:] != ordered["issuer"][:-1]
    return ordered[is_last]
