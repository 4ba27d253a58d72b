"""The metrics of a server in Prometheus's terms, made of what its workers have counted; docs/alerts.md says what for.

The only module that needs prometheus-client.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from storage.edge.record import Outcome
from storage.edge.watching import counters
from storage.edge.watching.cells import SILENT_S, Key, Ledger, Totals

_STATES = ("ready", "degraded", "unready")
_COUNTERS = {
    counters.REQUESTED: (
        "requests",
        "Requests of HTTP, by all that is known of them.",
        ("outcome", "method", "hash", "issuer"),
    ),
    counters.LOOKUPS: ("lookups", "Lookups, by the place that had to be asked for the answer.", ("place",)),
    counters.STORE: ("store_requests", "Requests to a remote store.", ("operation", "result")),
    counters.REFRESH: ("refreshes", "Looks for a new generation, by what came of them.", ("result",)),
    counters.LOG: ("log_lines", "Lines of the log of requests.", ("result",)),
}
_HISTOGRAMS = {
    counters.DURATION: (
        "reply_seconds",
        "How long replies of OCSP took, without reading and sending.",
        counters.MICROSECONDS,
        1e-6,
    ),
    counters.LEFT: ("answer_left_seconds", "Time to nextUpdate of answers when served.", counters.SPANS_S, 1),
    counters.AGE: (
        "answer_age_seconds",
        "Time since thisUpdate of answers when served.",
        counters.SPANS_S,
        1,
    ),
}
_PREFIX = "pregen_edge_"


class Metrics:
    """What a scrape gets.

    Args:
        ledger: reads what the workers have counted.
        workers: how many there should be.
        clock: seconds since 1970.
    """

    def __init__(self, ledger: Ledger, workers: int, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._wanted = workers
        self._clock = clock
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that an ``Accept`` header asks for, and its media type."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def collect(self) -> Iterable[Metric]:
        """Return all metrics as they are now."""
        totals = self._ledger.read()
        yield from _counters(totals.sums)
        yield _outcomes(totals.sums)
        yield from _histograms(totals.sums)
        yield from self._workers(totals)
        yield from _gauges([one.state for one in totals.workers if one.silent_s <= SILENT_S], self._clock())

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is depends on what happens."""
        return ()

    def _workers(self, totals: Totals) -> Iterator[Metric]:
        heard = Counter(one.state["state"] for one in totals.workers if one.silent_s <= SILENT_S)
        states = GaugeMetricFamily(_PREFIX + "workers", "Workers that live and say so, by state.", labels=["state"])
        for state in _STATES:
            states.add_metric([state], heard[state])
        yield states
        yield _gauge("workers_wanted", "Workers that there should be.", self._wanted)
        yield CounterMetricFamily(_PREFIX + "worker_starts", "Workers started so far.", value=totals.started)


def _counters(sums: dict[Key, int]) -> Iterator[Metric]:
    for what, (name, text, labels) in _COUNTERS.items():
        family = CounterMetricFamily(_PREFIX + name, text, labels=labels)
        for key, number in sorted(sums.items()):
            if key[0] == what:
                family.add_metric(key[1:], number)
        yield family


def _outcomes(sums: dict[Key, int]) -> Metric:
    """Return the requests by what came of them alone, all outcomes from the start on.

    What Prometheus first sees as a one has not grown for it, so that an alert about the first damaged answer would
    never fire.
    """
    found = Counter({outcome.value: 0 for outcome in Outcome})
    for key, number in sums.items():
        if key[0] == counters.REQUESTED:
            found[key[1]] += number
    family = CounterMetricFamily(_PREFIX + "outcomes", "Requests of HTTP, by what came of them.", labels=["outcome"])
    for outcome, number in sorted(found.items()):
        family.add_metric([outcome], number)
    return family


def _histograms(sums: dict[Key, int]) -> Iterator[Metric]:
    for what, (name, text, bounds, unit) in _HISTOGRAMS.items():
        total, buckets = 0, list[tuple[str, float]]()
        for at, bound in enumerate((*bounds, float("inf"))):
            total += sums.get((what, str(at)), 0)
            buckets.append(("+Inf" if at == len(bounds) else repr(round(bound * unit, 9)), total))
        family = HistogramMetricFamily(_PREFIX + name, text)
        family.add_metric([], buckets, sums.get((what, counters.SUM), 0) * unit)
        yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def _gauges(states: list[dict[str, Any]], now: float) -> Iterator[Metric]:
    """Yield what holds now; of several workers, what the one says that is the worst off."""
    yield _gauge("store_silent", "Workers that wait for the store no more.", sum(s["is_silent"] for s in states))
    reasons = GaugeMetricFamily(
        _PREFIX + "reasons", "Workers that are not ready, by the reason; see docs/edge.md.", labels=["code", "issuer"]
    )
    for (code, issuer), number in sorted(Counter(tuple(pair) for s in states for pair in s["reasons"]).items()):
        reasons.add_metric([code, issuer], number)
    yield reasons
    canaries = GaugeMetricFamily(_PREFIX + "canaries", "Canaries, by how they were answered.", labels=["result"])
    for result in ("right", "wrong", "skipped"):
        canaries.add_metric([result], max((s["canaries"].get(result, 0) for s in states), default=0))
    yield canaries
    loaded = [s for s in states if s["as_of"] is not None]
    if loaded:
        as_of = min(s["as_of"] for s in loaded)
        yield _gauge("generation", "Commit that is served.", min(s["generation"] for s in loaded))
        yield _gauge("generation_as_of_seconds", "Instant for which its snapshot was complete, since 1970.", as_of)
        yield _gauge("generation_age_seconds", "Time since that instant.", max(0.0, now - as_of))
        yield _gauge("overlays", "Overlays above its shards.", max(s["overlays"] for s in loaded))
    yield from _of_issuers(states)


def _of_issuers(states: list[dict[str, Any]]) -> Iterator[Metric]:
    ends, dues = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for state in states:
        for label, end, due in state["issuers"]:
            ends[label].append(end)
            if due is not None:
                dues[label].append(due)
    for name, text, found in (
        ("answers_end_seconds", "Until when the answers of an issuer hold, in seconds since 1970.", ends),
        ("answers_due_seconds", "When newer answers of an issuer are due, in seconds since 1970.", dues),
    ):
        family = GaugeMetricFamily(_PREFIX + name, text, labels=["issuer"])
        for label, instants in sorted(found.items()):
            family.add_metric([label], min(instants))
        yield family
