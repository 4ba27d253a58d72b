"""Lookups over eight overlays against lookups without any, in the same store.

One reader keeps the generation before the urgent changes, another has the one after them; both loops take turns. Most
certificates are in no overlay, as in a store of any size.
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.figure import PER_CPU_SECOND, BenchError, Figure, Result, Target
from bench.lookups import RecordingStore, choose, lookups_of, rate_of
from bench.runs import publish, removed
from bench.sizes import Sizes
from bench.turns import take_turns
from bench.workload import Workload, good_serials, make_workload
from pregen.__main__ import main
from storage.reader import Reader, open_reader
from storage.stores import LocalStore

RATIO = Target(must=0.85, wish=0.95)
# One, but for a certificate in tens of thousands whose key is that of another one in an overlay.
RANGED_GETS = Target(must=1.001, wish=1.001, at_most=True)
OVERLAYS = 8
SHARE = 100  # each overlay has the hundredth part of all certificates


def measure_overlaid(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the rate of lookups over overlays, its ratio to that without, and the ranged reads that a lookup takes."""
    with removed(make_workload(folder / "overlaid", sizes.lookup_rows)) as workload:
        publish(workload)
        wanted = choose(workload, sizes.lookups)
        before = open_reader(LocalStore(workload.store))
        entries = max(1, sizes.lookup_rows // SHARE)
        for number in range(OVERLAYS):
            revoke(workload, entries, number * entries)
        store = RecordingStore(workload.store)
        after = open_reader(store)
        check_overlays(after)
        for reader in (before, after):
            lookups_of(reader, wanted)()
        store.reads.clear()
        lookups_of(after, wanted)()
        gets = len(store.reads) / len(wanted)
        after = open_reader(LocalStore(workload.store))
        lookups_of(after, wanted)()
        without, overlaid = take_turns(
            sizes.rounds,
            lambda: rate_of(lookups_of(before, wanted), len(wanted)),
            lambda: rate_of(lookups_of(after, wanted), len(wanted)),
        )
    yield from figures_of_overlaid(without, overlaid, gets, entries)


def revoke(workload: Workload, count: int, start: int) -> None:
    """Revoke so many of the good certificates, from one on.

    Raises:
        BenchError: it fails.
    """
    words = [word for serial in good_serials(workload, start, count) for word in ("--serial", serial)]
    if code := main(["revoke", str(workload.config), "--issuer", "bench", *words, "--quiet"]):
        raise BenchError(f"pregen revoke of {count:,} certificates ended with exit code {code}")


def check_overlays(reader: Reader) -> None:
    """Refuse a store that has other overlays than those that were to be made.

    Raises:
        BenchError: it has.
    """
    current = reader.current
    if current is None or len({one.pack for one in current.manifest.overlays}) < OVERLAYS:
        raise BenchError(f"the store was to have {OVERLAYS} overlays, and has fewer")
    if current.overlay_keys is None:
        raise BenchError("the store has no keys of its overlays")


def figures_of_overlaid(before: Sequence[float], after: Sequence[float], gets: float, entries: int) -> Iterator[Figure]:
    """Yield the figures; the rates of rounds of equal work are summed up by their harmonic mean."""
    without, over = (len(rates) / sum(1 / one for one in rates) for rates in (before, after))
    figure = functools.partial(Figure, group=f"lookups over {OVERLAYS} overlays of {entries:,} entries, one process")
    yield figure(name="overlaid.rate", title="lookups", value=over, unit=PER_CPU_SECOND, samples=tuple(after))
    yield figure(name="overlaid.ratio", title="the same / without overlays", value=over / without, target=RATIO)
    title = "ranged reads a lookup, directory in memory"
    yield figure(name="overlaid.ranged_gets", title=title, value=gets, target=RANGED_GETS)
