"""How much is measured: all of it, or less in a hurry."""

from dataclasses import dataclass

from bench.workload import disk_bytes
from pregen.signers import ALGORITHMS, P256_SHA256, RSA2048_SHA256

LOG_BYTES = 440  # of a line about a request, at most
LIFE = 2  # what lies beside each other in the life of a store takes as much as so many workloads of two generations


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured.

    Attributes:
        judged: whether targets apply: they are set for the full sizes; in smaller runs the start-up weighs more.
        raw_s: CPU seconds of each loop that is shown.
        reference_s: CPU seconds of a raw loop that a run is held against, before it and after it each.
        multibuffer_rows, awslc_rows, p384_rows, rsa_rows, software_rows: snapshots of the runs against raw loops; of
            those with P-256, which also show what gates cost, the second of two generations.
        memory_rows: a small snapshot, for the memory that a run takes whatever its size.
        layout_rows: snapshot that is signed with combined and with separate answers.
        worker_rows: snapshot that is signed by one worker and by two.
        large_rows, medium_rows: a very large snapshot and a usual one; 0 where that takes too long.
        issuers, issuer_rows: how many issuers sign for themselves, and certificates of each.
        lookup_rows: snapshot of the store that is read.
        lookups: certificates that are looked up in each round.
        rounds: of lookups and of their reference, in turns.
        carry_rows, carry_rsa_rows: of a shard that is carried over, with P-256 and with RSA-2048.
        night_rows, night_rsa_rows: snapshots of the nights that are acted out, with P-256 and with RSA-2048.
        urgent_rows: snapshot of which certificates are revoked urgently.
        urgent_mass_rows: how many of them at once.
        urgent_rounds: of single ones, one after the other.
        life_rows: snapshot of the store on which all commands are asked for their memory.
        life_entries: certificates of each of its overlays.
        shards: of one certificate each, in the store that shows what a shard costs.
        edge_rows, edge_start_rows: snapshots of the store that is served, and of that with which a server starts.
        edge_requests: different requests, which come again and again.
        edge_s: seconds of each round.
        log_lines: of the request log that is imported, and of which is asked.
    """

    judged: bool
    raw_s: float
    reference_s: float
    multibuffer_rows: int
    awslc_rows: int
    p384_rows: int
    rsa_rows: int
    software_rows: int
    memory_rows: int
    layout_rows: int
    worker_rows: int
    large_rows: int
    medium_rows: int
    issuers: int
    issuer_rows: int
    lookup_rows: int
    lookups: int
    rounds: int
    carry_rows: int
    carry_rsa_rows: int
    night_rows: int
    night_rsa_rows: int
    urgent_rows: int
    urgent_mass_rows: int
    urgent_rounds: int
    life_rows: int
    life_entries: int
    shards: int
    edge_rows: int
    edge_start_rows: int
    edge_requests: int
    edge_s: float
    log_lines: int

    @property
    def disk_bytes(self) -> int:
        """Disk that the largest workload needs; only one lies there at a time."""
        p256 = max(
            self.memory_rows,
            2 * self.layout_rows,  # two answers a certificate
            self.worker_rows,
            self.large_rows,
            self.medium_rows,
            self.issuers * self.issuer_rows,
            self.lookup_rows,
            self.edge_rows,
            self.edge_start_rows,
            2 * self.urgent_rows + 2 * self.urgent_mass_rows,  # in a folder, and in a bucket
        )
        needs = ((p256, P256_SHA256), (self.p384_rows, ALGORITHMS["p384-sha384"]), (self.rsa_rows, RSA2048_SHA256))
        gated = max(self.multibuffer_rows, self.awslc_rows, self.software_rows)
        life = disk_bytes(LIFE * self.life_rows, dated=True)
        logs = 2 * LOG_BYTES * self.log_lines  # as written, and spilled on the way into an import
        return max(
            *(disk_bytes(rows, one.signature_bytes) for rows, one in needs), disk_bytes(gated, dated=True), life, logs
        )


FULL_SIZES = Sizes(
    judged=True,
    raw_s=1.0,
    reference_s=3.0,
    multibuffer_rows=5_000_000,
    awslc_rows=2_000_000,
    p384_rows=2_000_000,
    rsa_rows=300_000,
    software_rows=1_000_000,
    memory_rows=200_000,
    layout_rows=2_000_000,
    worker_rows=5_000_000,
    large_rows=20_000_000,
    medium_rows=2_000_000,
    issuers=1_144,
    issuer_rows=2_000,
    lookup_rows=1_000_000,
    lookups=50_000,
    rounds=5,
    carry_rows=60_000,
    carry_rsa_rows=25_000,
    night_rows=1_000_000,
    night_rsa_rows=200_000,
    urgent_rows=2_000_000,
    urgent_mass_rows=1_000_000,
    urgent_rounds=20,
    life_rows=5_000_000,
    life_entries=500_000,
    shards=15_264,
    edge_rows=1_000_000,
    edge_start_rows=5_000_000,
    edge_requests=200_000,
    edge_s=5,
    log_lines=10_000_000,
)
QUICK_SIZES = Sizes(
    judged=False,
    raw_s=0.3,
    reference_s=0.7,
    multibuffer_rows=1_000_000,
    awslc_rows=200_000,
    p384_rows=200_000,
    rsa_rows=30_000,
    software_rows=200_000,
    memory_rows=50_000,
    layout_rows=200_000,
    worker_rows=400_000,
    large_rows=0,
    medium_rows=0,
    issuers=200,
    issuer_rows=1_000,
    lookup_rows=200_000,
    lookups=20_000,
    rounds=3,
    carry_rows=20_000,
    carry_rsa_rows=5_000,
    night_rows=100_000,
    night_rsa_rows=6_000,
    urgent_rows=200_000,
    urgent_mass_rows=100_000,
    urgent_rounds=3,
    life_rows=200_000,
    life_entries=20_000,
    shards=800,
    edge_rows=20_000,
    edge_start_rows=200_000,
    edge_requests=5_000,
    edge_s=1,
    log_lines=200_000,
)
