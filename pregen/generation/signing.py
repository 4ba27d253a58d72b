"""The third step of a run: shards are signed by workers, each with the keys that it opens itself."""

from collections.abc import Callable, Iterable, Sequence

from pregen import clock
from pregen.generation.making.carry_job import CarryJob
from pregen.generation.making.plan import Plan, windows_in_use
from pregen.generation.making.shard import ShardSigner, SignedShard, SigningJob, SignTask
from pregen.generation.preparation import Prepared
from pregen.generation.work.workers import Pool
from pregen.progress import Progress
from storage.stores import Store


def signing_job(prepared: Prepared, plan: Plan, carry: CarryJob | None = None) -> SigningJob:
    """Return what a worker needs to sign whatever a run publishes; `carry` None: no record is carried over."""
    as_of = clock.seconds(prepared.snapshot.as_of)
    return SigningJob(
        prepared.issuers,
        prepared.windows,
        plan,
        prepared.engine_of,
        prepared.open_store,
        as_of,
        carry=carry,
        engine_may_differ=prepared.engine_may_differ,
    )


def put_tables(store: Store, plan: Plan) -> None:
    """Put the tables of a plan, before the first signature: is the store writable at all?

    Windows that may not all be needed come last (`put_windows`).
    """
    for name, octets in plan.objects.items():
        if name != plan.name or not plan.carried:
            store.put(name, octets)


def sign(
    job: SigningJob,
    tasks: Sequence[SignTask],
    pool: Pool,
    certificates: int,
    progress: Progress,
    note: Callable[[SignedShard], None] = lambda _: None,
) -> list[SignedShard]:
    """Return all signed shards in the order of their keys.

    Args:
        job: what is signed, and for whom; its tables are in the store.
        tasks: the shards; without any, no key is opened.
        pool: who signs them.
        certificates: how many there are in all, for `progress`.
        progress: told how many have their answers.
        note: told of each shard, once its pack is stored and read back.

    Raises:
        SigningError, VerificationError, PublishError, WorkerError: nothing was published.
    """
    signed, done = [], 0
    for one in pool.map(ShardSigner, job, tasks) if tasks else ():
        note(one)
        signed.append(one)
        done += one.shard.rows
        progress("sign", done, certificates)
    return sorted(signed, key=lambda one: one.number)


def put_windows(store: Store, plan: Plan, signed: Iterable[SignedShard]) -> Plan:
    """Put the windows that records have, if some may not be needed; return the plan with these.

    Args:
        store: where the packs are.
        plan: what was signed.
        signed: all that was.
    """
    if not plan.carried:
        return plan
    in_use = windows_in_use(plan, frozenset[int]().union(*(one.runs for one in signed)))
    store.put(in_use.name, in_use.objects[in_use.name])
    return in_use
