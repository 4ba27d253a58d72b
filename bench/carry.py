"""What carrying a record over costs, beside signing it: the worker's step of one shard, in which one row has changed.

Both are measured in this process, in turns, from the spilled rows to the pack that is read back.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.figure import BenchError, Figure, Result, Target
from bench.runs import removed
from bench.sizes import Sizes
from bench.turns import take_turns
from bench.workload import Workload, make_workload
from pregen import clock
from pregen.config import load_config
from pregen.generation import RunOptions, run
from pregen.generation.comparing.makings import Keepable
from pregen.generation.kept_shards import makings_of
from pregen.generation.looking_back import look_back
from pregen.generation.making.plan import make_plan
from pregen.generation.making.shard import ShardSigner, SignedShard, SigningJob
from pregen.generation.preparation import prepare
from pregen.generation.survey import survey
from pregen.generation.work.steps import Steps
from pregen.generation.worklist import make_worklist
from pregen.generation.workplace import open_workplace
from pregen.signers import P256_SHA256, RSA2048_SHA256
from pregen.snapshot import RowStatus

ROUNDS = 5
TARGETS = {P256_SHA256: Target(must=4.0, wish=5.0), RSA2048_SHA256: Target(must=40.0, wish=55.0)}


def measure_carry(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield how many rows are carried over in the CPU time in which one is signed, for two algorithms."""
    rows_of = {P256_SHA256: sizes.carry_rows, RSA2048_SHA256: sizes.carry_rsa_rows}
    for algorithm, rows in rows_of.items():
        with removed(make_workload(folder / algorithm.name, rows, algorithm)) as workload:
            run(load_config(workload.config), RunOptions(workers=1), _quiet)
            revoke_one(workload)
            signed_s, carried_s = times_of(workload)
        yield Figure(
            name=f"carry.{algorithm.name}",
            group=f"{rows:,} rows, {algorithm.name}, one of them changed",
            title="carried / signed",
            value=min(signed_s) / min(carried_s),
            target=TARGETS[algorithm],
            detail={"signed_s": min(signed_s), "carried_s": min(carried_s)},
        )


def revoke_one(workload: Workload) -> None:
    """Have the first good certificate of a snapshot revoked."""
    (path,) = workload.snapshots
    table = pq.read_table(path)
    at = pc.index(table["status"], RowStatus.GOOD).as_py()
    changed = {"status": RowStatus.REVOKED, "revoked_at": clock.now(), "reason": 1}
    for name, value in changed.items():
        kind = table.schema.field(name).type
        one = pa.chunked_array([pa.array([value], kind)])
        column = pa.chunked_array([*table[name].slice(0, at).chunks, *one.chunks, *table[name].slice(at + 1).chunks])
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)


def times_of(workload: Workload) -> tuple[list[float], list[float]]:
    """Return the CPU seconds that a worker takes to sign the only shard, and to carry it over, in turns.

    Raises:
        BenchError: more than one row was signed, or less.
    """
    prepared = prepare(load_config(workload.config), RunOptions(workers=1))
    with open_workplace(prepared) as place:
        surveyed, back = survey(prepared, place, Steps(), _quiet), look_back(prepared)
        (task,) = make_worklist(prepared, surveyed, Keepable(makings_of(prepared.issuers)), back).sign
        signers = []
        for candidates in (None, back.candidates):
            plan = make_plan(
                prepared.issuers, prepared.windows, surveyed.tally.groups, prepared.current_tables, candidates
            )
            engines = {use: choice.engine for use, choice in prepared.choices.items()}
            carry = back.job(plan) if candidates else None
            as_of = clock.seconds(prepared.snapshot.as_of)
            signers.append(
                ShardSigner(
                    SigningJob(
                        prepared.issuers, prepared.windows, plan, engines, prepared.open_store, as_of, carry=carry
                    )
                )
            )
        signed_s, carried_s = take_turns(
            ROUNDS, lambda: _spent(lambda: signers[0](task), workload.rows), lambda: _spent(lambda: signers[1](task), 1)
        )
    return signed_s, carried_s


def _spent(work: Callable[[], SignedShard], signed: int) -> float:
    started = time.process_time()
    done = work()
    spent = time.process_time() - started
    if sum(done.reasons.signed.values()) != signed:
        raise BenchError(f"{signed:,} rows were to be signed, and these were: {dict(done.reasons.signed)}")
    return spent


def _quiet(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""
