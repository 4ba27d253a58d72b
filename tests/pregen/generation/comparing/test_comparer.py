"""A snapshot beside the current generation: by its history in parts, whatever its shards were, or by its packs."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.gates.comparison import NOT_COMPARED, Comparison, Remembered, compare, words
from pregen.generation.comparing.comparer import ComparedRange, Comparer, ComparisonJob, Now
from pregen.generation.comparing.past import read_past
from pregen.generation.rows.truth import Overlaid
from pregen.overlays.entries import concatenated
from pregen.overlays.records import pack_entries
from storage.commits import find_head
from storage.history import HistoryPart, encode_part
from storage.reader import open_reader
from storage.stores import Store
from storage.stores.memory import MemoryStore
from tests.pregen.generation.test_publication import Authority
from tests.pregen.generation.workshop import plain_rows
from tests.storage.golden_store import VERSION_2, golden_store

EDGES = st.lists(st.integers(1, 2**32 - 1), max_size=4, unique=True)


def entries(keys: Sequence[int], seed: int = 0) -> Remembered:
    status = np.random.default_rng(seed).integers(0, 4, len(keys)).astype(np.uint32)
    not_after = np.full(len(keys), 2**32 - 1, np.uint32)
    return Remembered(np.array(sorted(keys), np.uint64), words(status, not_after))


def put_parts(store: Store, before: Remembered, edges: Sequence[int]) -> tuple[HistoryPart, ...]:
    """Put entries in parts that are cut at `edges`; empty ones are left out, as a run does."""
    parts = []
    for low, high in pairwise([0, *sorted(edges), 1 << 32]):
        inside = before.between(low, high)
        if len(inside.keys):
            part, octets = encode_part(os.urandom(16), low, high, inside.columns())
            store.put(part.name, octets)
            parts.append(part)
    return tuple(parts)


def compare_in_shards(job: ComparisonJob, after: Remembered, edges: Sequence[int]) -> Comparison:
    comparer, total = Comparer(job), NOT_COMPARED
    for low, high in pairwise([0, *sorted(edges), 1 << 32]):
        total = total.plus(comparer.compare(low, high, Now(after.between(low, high))).comparison)
    return total


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.integers(0, 20), EDGES, EDGES)
def test_shards_of_any_cut_are_compared_with_parts_of_any_other_cut(
    keys: list[int], gone: int, old_edges: list[int], new_edges: list[int]
) -> None:
    before, after = entries(keys + keys[:3]), entries([*keys[gone:], 7], seed=1)
    store = MemoryStore()
    job = ComparisonJob(lambda: store, put_parts(store, before, old_edges), None)

    assert compare_in_shards(job, after, new_edges) == compare(before, after, None)


def test_a_part_that_cannot_be_read_is_told_and_the_others_are_compared() -> None:
    store, before = MemoryStore(), entries([1, 2, (1 << 63) + 1, (3 << 62) + 5])
    first, second, third = put_parts(store, before, [1 << 31, 3 << 30])
    store.delete([first.name])
    octets = bytearray(store.get(second.name))
    octets[20] ^= 1
    store.put(second.name, octets)

    seen = compare_in_shards(ComparisonJob(lambda: store, (first, second, third), None), entries([9]), [])

    assert (seen.before, seen.vanished, seen.after) == (1, 1, 1)
    assert len(seen.damaged) == 2
    assert f"{first.name}: is missing" in seen.damaged


def test_a_part_whose_keys_are_out_of_order_is_damaged() -> None:
    store = MemoryStore()
    part, octets = encode_part(
        bytes(16), 0, 1 << 32, entries([1, 2])._replace(keys=np.array([2, 1], np.uint64)).columns()
    )
    store.put(part.name, octets)
    seen = compare_in_shards(ComparisonJob(lambda: store, (part,), None), entries([1]), [])
    assert seen.damaged == (f"{part.name}: its keys are out of order",)


def test_damaged_packs_of_a_dropped_issuer_are_told_as_damage(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.publish(plain_rows(5))
    generation = authority.generation()
    past = read_past(authority.store, generation)
    (shard,) = generation.manifest.shards
    octets = bytearray(authority.store.get(shard.pack))
    octets[40] ^= 1
    authority.store.put(shard.pack, bytes(octets))
    dropped = frozenset({next(iter(past.history.issuers))}) if past.history else frozenset[int]()
    head = find_head(authority.store)

    seen = compare_in_shards(ComparisonJob(lambda: authority.store, past.parts, None, head, dropped), entries([]), [])

    assert len(seen.damaged) == 1
    assert shard.pack in seen.damaged[0]


def test_a_range_without_a_part_is_compared_with_what_overlays_have_there() -> None:
    store = golden_store(VERSION_2)
    entries = read_past(store, open_reader(store).current).overlays
    overlaid = Overlaid(entries, np.unique(entries.issuers), as_of=2**40)
    comparer = Comparer(ComparisonJob(lambda: store, (), None))
    nothing = Remembered(entries.keys[:0], np.empty(0, np.uint32))
    seen = comparer.compare(0, 1 << 32, Now(nothing, overlaid)).comparison

    assert (seen.before, seen.overlaid, seen.vanished) == (len(entries),) * 3
    assert seen.lost == int(np.count_nonzero(entries.is_final))


@pytest.mark.parametrize("edges", [[], [1 << 31], [1, 1 << 30, 3 << 30]])
def test_without_history_packs_are_compared_whatever_the_cut_and_what_was_revoked_stays(edges: list[int]) -> None:
    store = golden_store(VERSION_2)
    current, head = open_reader(store).current, find_head(store)
    assert current is not None
    every = concatenated(pack_entries(store, current, shard) for shard in current.manifest.shards)
    ids = frozenset(every.issuers.tolist())
    comparer = Comparer(ComparisonJob(lambda: store, None, 1 << 31, head, issuers=ids))
    kept, expired = every.keys[::2], every.keys[1::4]
    after = Remembered(kept, words(np.zeros(len(kept), np.uint32), np.full(len(kept), 2**32 - 1, np.uint32)))

    total = ComparedRange()
    for low, high in pairwise([0, *sorted(edges), 1 << 32]):
        total = total.plus(comparer.compare(low, high, Now(after.between(low, high), expired=expired)))

    seen, gone = total.comparison, every.take(np.arange(3, len(every), 4))
    assert (seen.before, seen.after, seen.unended, seen.vanished) == (len(every), len(kept), len(gone), 0)
    assert seen.unrevoked == int(np.count_nonzero(every.is_final[::2])) > 0
    assert seen.lost == 0
    assert total.lost.entries.keys.tolist() == gone.take(gone.is_final).keys.tolist() != []
    assert (total.lost.entries.not_after == 2**32 - 1).all()
