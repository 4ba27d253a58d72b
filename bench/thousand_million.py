"""The machinery of a thousand million certificates: as many shards as they have, with one certificate in each.

What a certificate costs is measured elsewhere. Here it is what a shard costs, whatever it holds: commands as processes
of their own, in which a shard wants one row and calls of the store are counted (machinery.py), client and scheduler of
a cluster, and an edge that loads all of it (loading.py).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pyarrow.parquet as pq

from bench.cluster import peak_mib, running
from bench.figure import BenchError, Figure, Result, Target
from bench.memory import PEAK, Taken, taken_by
from bench.runs import removed, run_apart
from bench.sizes import Sizes
from bench.workload import SERIAL_BYTES, Workload, good_serials, make_workload
from pregen.generation.rows.sharding import SHARD_ROWS
from pregen.issuers.certificates import read_certificates
from pregen.routing_key import LOWER_BITS, xxh64
from pregen.signers import P256_SHA256
from storage.key import issuer_id

DRAWN = 16  # serials for each shard, of which the first is taken: one in nine million gets none
LOADING = Path(__file__).with_name("loading.py")
MACHINERY = "import sys; from bench.machinery import {0}; {0}(*sys.argv[1:])"
LOAD_S, LOAD_MIB = Target(must=2, wish=1, at_most=True), Target(must=200, wish=100, at_most=True)


class ShardCommand(NamedTuple):
    """A command: the name of its figures, and what is typed after `pregen`."""

    name: str
    words: tuple[str, ...]


def measure_thousand_million(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield what commands, client, scheduler and an edge take for so many shards.

    Raises:
        BenchError: one of them failed.
    """
    group = f"{sizes.shards:,} shards of one certificate"
    with removed(make_workload(folder / "shards", DRAWN * sizes.shards)) as workload:
        _one_a_shard(workload, sizes.shards)
        for work in _works(workload):
            yield from _command(workload, work, group)
            if work.name == "first":
                yield from _stored(workload, group)
                yield from _edge(workload, group)
        yield from _cluster(workload, group)
        yield _index(workload, sizes.shards)


def _one_a_shard(workload: Workload, shards: int) -> None:
    """Leave one certificate of each shard in the snapshot."""
    [path], [issuer] = workload.snapshots, read_certificates(workload.issuer)
    table = pq.read_table(path)
    serials = np.frombuffer(b"".join(cast("list[bytes]", table["serial"].to_pylist())), np.uint8).reshape(
        -1, SERIAL_BYTES
    )
    key = xxh64(serials, np.array([issuer_id(issuer.subject, issuer.key_bits)], np.uint64)) >> LOWER_BITS
    numbers, first = np.unique(key * np.uint64(shards) >> LOWER_BITS, return_index=True)
    if len(numbers) != shards:
        raise BenchError(f"of {shards:,} shards, {len(numbers):,} have a certificate: draw more serials")
    pq.write_table(table.take(first), path)


def _works(workload: Workload) -> Iterator[ShardCommand]:
    config, store = str(workload.config), str(workload.store)
    run = ("run", config, "--workers", "1")
    yield ShardCommand("first", run)
    yield ShardCommand("check", ("check", config, "--workers", "1"))
    yield ShardCommand("idle", run)
    yield ShardCommand("full", (*run, "--full"))
    yield ShardCommand("revoke", ("revoke", config, "--issuer", "bench", "--serial", *good_serials(workload, 0, 1)))
    yield ShardCommand("rollback", ("rollback", config, "--to", "1", "--reason", "measured"))
    for name in ("status", "history", "inspect"):
        yield ShardCommand(name, (name, store))
    yield ShardCommand("verify", ("verify", store, "--config", config))
    yield ShardCommand("gc", ("gc", config, "--keep", "1", "--grace", "0s"))


def _command(workload: Workload, work: ShardCommand, group: str) -> Iterator[Figure]:
    told = workload.folder / "calls.json"
    taken = _python(workload, "-c", MACHINERY.format("run_pregen"), str(told), *work.words, "--quiet")
    title, calls = f"pregen {work.words[0]}{_which(work)}", json.loads(told.read_text())
    yield _figure(f"{work.name}.memory", group, f"{title}: memory", taken.peak_bytes / 2**20, "MiB", PEAK)
    yield Figure(
        name=f"thousand-million.{work.name}.cpu",
        group=group,
        title=f"{title}: CPU time",
        value=taken.cpu_s,
        unit="s",
        detail=calls,
        note=", ".join(f"{name} {count:,}" for name, count in calls.items()),
    )


def _which(work: ShardCommand) -> str:
    return {"first": ", the first one", "idle": " with nothing to do", "full": " --full"}.get(work.name, "")


def _python(workload: Workload, *words: str) -> Taken:
    return taken_by(workload.folder, (sys.executable, *words))


def _figure(name: str, group: str, title: str, value: float, unit: str, target: Target | None = None) -> Figure:
    return Figure(name=f"thousand-million.{name}", group=group, title=title, value=value, unit=unit, target=target)


def _stored(workload: Workload, group: str) -> Iterator[Figure]:
    """Yield what lies in the store after the first run."""
    [manifest] = (workload.store / "manifests").iterdir()
    yield _figure("manifest", group, "octets of the manifest", manifest.stat().st_size, "")
    index = max(one.stat().st_size for one in (workload.store / "history").iterdir())
    yield _figure("history", group, "octets of the history's index", index, "")
    count = sum(1 for one in workload.store.rglob("*") if one.is_file())
    yield _figure("objects", group, "objects in the store", count, "")


def _edge(workload: Workload, group: str) -> Iterator[Figure]:
    told = workload.folder / "edge.json"
    pack_bytes = SHARD_ROWS * (SERIAL_BYTES + P256_SHA256.signature_bytes)
    _python(workload, str(LOADING), str(told), f"file://{workload.store}", str(pack_bytes))
    held = json.loads(told.read_text())
    if held["packs"] < 1:
        raise BenchError(f"an edge loaded no packs: {held}")
    yield _figure("edge.load", group, "an edge loads all, from local files: CPU time", held["cpu_s"], "s", LOAD_S)
    title = "memory of an edge that has, with directories of usual packs"
    yield _figure("edge.memory", group, title, held["mib"], "MiB", LOAD_MIB)


def _cluster(workload: Workload, group: str) -> Iterator[Figure]:
    """Yield the memory of client and scheduler in a run on a cluster."""
    with running(workload.folder / "dask") as cluster:
        words = ("run", str(workload.config), "--full", "--cluster", cluster.address, "--quiet")
        taken = _python(workload, "-c", MACHINERY.format("run_pregen"), str(workload.folder / "calls.json"), *words)
        scheduler = peak_mib(cluster.scheduler.pid)
    title = "pregen run --full --cluster"
    yield _figure("client", group, f"{title}: memory of the client", taken.peak_bytes / 2**20, "MiB", PEAK)
    yield _figure("scheduler", group, f"{title}: memory of the scheduler", scheduler, "MiB", PEAK)


def _index(workload: Workload, shards: int) -> Figure:
    """Return what the index of so many shards of usual size takes in the client."""
    told, rows = workload.folder / "index.json", shards * SHARD_ROWS
    words = (sys.executable, "-c", MACHINERY.format("hold_index"), str(told), str(rows), str(shards))
    code, out = run_apart(words)
    if code:
        raise BenchError(f"making the index of {rows:,} rows ended with exit code {code}: {out.strip()}")
    held = json.loads(told.read_text())
    return Figure(
        name="thousand-million.index",
        group=f"{rows:,} rows in a spool in a store, {shards:,} shards",
        title="memory of their index in the client",
        value=held["mib"],
        unit="MiB",
        detail=held,
        note=f"{held['parts']:,} parts; {held['peak_mib']:,.0f} MiB while it is made",
    )
