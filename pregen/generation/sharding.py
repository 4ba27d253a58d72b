"""How keys are cut into shards: the unit of work, retry and publishing."""

from collections.abc import Sequence

from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS

SHARD_ROWS = 65_536
PACK_BYTES = 8 << 20  # a worker needs a few times that
EVEN_SHARDS = 8
MAX_SHARDS = 1 << 16  # shard numbers are uint16; and a file may lie about its rows
RECORD_BYTES = 26  # of a record, its signatures apart: the longest serial, time and reason of revocation


def shard_count(rows: int, record_bytes: int) -> int:
    """Return how many shards a snapshot of about `rows` rows is cut into.

    Args:
        rows: of the snapshot.
        record_bytes: what the largest of its records takes in a pack.

    >>> shard_count(0, 100), shard_count(65_536, 100), shard_count(65_537, 100), shard_count(10**15, 100)
    (1, 1, 2, 65536)
    >>> shard_count(65_536, 1024), shard_count(5_000_000, 100)
    (8, 80)
    """
    shard_rows = max(1, min(SHARD_ROWS, PACK_BYTES // record_bytes))
    shards = max(1, -(-rows // shard_rows))
    # Many are a multiple of eight: so two, four or eight workers come to the end together.
    return min(shards if shards <= EVEN_SHARDS else -(-shards // EVEN_SHARDS) * EVEN_SHARDS, MAX_SHARDS)


def record_bytes(issuers: Sequence[Issuer]) -> int:
    """Return what the largest record of any of the issuers takes in a pack."""
    return RECORD_BYTES + max(
        len(issuer.cert_ids) * ALGORITHMS[issuer.responder.algorithm].signature_bytes for issuer in issuers
    )
