"""The third step of a run: shards are signed by workers, each with the keys that it opens itself."""

from collections.abc import Sequence

from pregen import clock
from pregen.generation.plan import Plan
from pregen.generation.preparation import Prepared
from pregen.generation.shard import ShardSigner, SignedShard, SigningJob, SignTask
from pregen.generation.workers import Pool
from pregen.progress import Progress


def signing_job(prepared: Prepared, plan: Plan) -> SigningJob:
    """Return what a worker needs to sign whatever a run publishes."""
    as_of = clock.seconds(prepared.snapshot.as_of)
    engines = {use: choice.engine for use, choice in prepared.choices.items()}
    return SigningJob(prepared.issuers, prepared.windows, plan, engines, prepared.open_store, as_of)


def sign(
    prepared: Prepared, plan: Plan, tasks: Sequence[SignTask], pool: Pool, certificates: int, progress: Progress
) -> list[SignedShard]:
    """Return all signed shards in the order of their keys.

    Args:
        prepared: for whom, and with which engines.
        plan: what is signed; its tables are in the store.
        tasks: the shards.
        pool: who signs them.
        certificates: how many there are in all, for `progress`.
        progress: told how many have their answers.

    Raises:
        SigningError, VerificationError, PublishError, WorkerError: nothing was published.
    """
    for name, octets in plan.objects.items():  # before the first signature: is the store writable at all?
        prepared.store.put(name, octets)
    signed, done = [], 0
    for one in pool.map(ShardSigner, signing_job(prepared, plan), tasks):
        signed.append(one)
        done += one.shard.rows
        progress("sign", done, certificates)
    return sorted(signed, key=lambda one: one.number)
