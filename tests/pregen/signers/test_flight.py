"""Batches that are signed elsewhere come home to their places, whatever comes in between."""

import numpy as np
import pytest

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, P256_SHA256, Flight, KeyIndexes, Octets, make_key
from pregen.signers.software import SoftwareEngine
from tests.pregen.signers.distant import DistantSigner

ALGORITHM = ALGORITHMS["ed25519"]  # the same message has the same signature each time
ROWS, SIZE, AT = 40, 60, slice(4, 68)


@pytest.fixture
def here() -> SoftwareEngine:
    return SoftwareEngine()


def messages_of(rows: int) -> Octets:
    return np.random.default_rng(rows).integers(0, 256, (rows, SIZE), np.uint8)


def test_signatures_from_elsewhere_lie_where_those_made_here_would(here: SoftwareEngine) -> None:
    opened = here.open([make_key(ALGORITHM), make_key(ALGORITHM)], ALGORITHM)
    distant, flight = DistantSigner(opened), Flight()
    messages, keys = messages_of(ROWS), np.arange(ROWS) % 2
    records = np.zeros((ROWS, 70), np.uint8)
    scratch, scratch_keys = np.empty((8, SIZE), np.uint8), np.empty(8, np.intp)
    for at in range(0, 24, 8):  # neighbours, out of memory that the next batch takes over
        scratch[:], scratch_keys[:] = messages[at : at + 8], keys[at : at + 8]
        flight.sign(distant, scratch, scratch_keys, records, slice(at, at + 8), AT)
    for rows in (np.arange(24, ROWS, 2), np.arange(25, ROWS, 2)):  # and every other one
        scratch[:], scratch_keys[:] = messages[rows], keys[rows]
        flight.sign(distant, scratch, scratch_keys, records, rows, AT)
    flight.land()
    assert (records[:, AT] == opened.sign(messages, keys)).all()
    assert not records[:, :4].any()
    assert distant.most_held == distant.outstanding


def test_a_signer_of_this_process_is_done_when_it_is_called_and_gets_the_very_arrays(here: SoftwareEngine) -> None:
    given: list[Octets] = []

    class Listening:
        def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
            given.append(messages)
            return opened.sign(messages, keys)

    opened = here.open([make_key(P256_SHA256)], P256_SHA256)
    messages, records = messages_of(3), np.zeros((3, 70), np.uint8)
    Flight().sign(Listening(), messages, np.zeros(3, np.intp), records, slice(0, 3), AT)
    assert records[:, AT].any(axis=1).all()
    assert given[0] is messages, "it was copied, which costs time"


def test_what_a_distant_signer_refuses_is_refused_when_it_lands(here: SoftwareEngine) -> None:
    distant, flight = DistantSigner(here.open([make_key(ALGORITHM)], ALGORITHM), refuses=True), Flight()
    flight.sign(distant, messages_of(3), np.zeros(3, np.intp), np.zeros((3, 70), np.uint8), slice(0, 3), AT)
    with pytest.raises(SigningError, match="the device is locked"):
        flight.land()


def test_one_batch_alone_is_signed_by_a_distant_signer_as_by_any(here: SoftwareEngine) -> None:
    opened = here.open([make_key(ALGORITHM)], ALGORITHM)
    messages, keys = messages_of(5), np.zeros(5, np.intp)
    assert (DistantSigner(opened).sign(messages, keys) == opened.sign(messages, keys)).all()
