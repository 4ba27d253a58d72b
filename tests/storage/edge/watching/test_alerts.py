"""docs/alerts: the rules do what they say, and all that is named there exists in what a real edge shows."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from storage.edge.record import Outcome
from storage.edge.watching.counters import LINES, OPERATIONS, PLACES, REFRESHES, STORE_RESULTS
from tests.judges.conftest import GOOD, make_authority
from tests.judges.programs import judge
from tests.ports import free_port
from tests.storage.edge.object_server import serving
from tests.storage.edge.processes import start, wait_until
from tests.storage.edge.watching.asking import asking, scrape, value

DOCS = Path(__file__).parents[4] / "docs"
RULES, TESTS = DOCS / "alerts" / "pregen-edge.rules.yml", DOCS / "alerts" / "pregen-edge.tests.yml"
DASHBOARD = DOCS / "alerts" / "pregen-edge.dashboard.json"
METRIC = re.compile(r"\bpregen_edge_[a-z_]+")
LABELS = {
    "outcome": {outcome.value for outcome in Outcome},
    "state": {"ready", "degraded", "unready"},
    "place": set(PLACES),
    "operation": set(OPERATIONS),
    "result": {*REFRESHES, *STORE_RESULTS, *LINES, "right", "wrong", "skipped"},
    "hash": {"sha1", "sha256", "other", "none"},
    "job": {".*pregen.*", "$job"},
    "instance": {"$instance"},
}


def expressions() -> list[str]:
    """Return all queries of the rules and of the dashboard."""
    of_rules = re.findall(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", RULES.read_text())
    dashboard = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [block or line for block, line in of_rules] + shown


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the types of all metrics that an edge shows, by what queries call them."""
    folder = tmp_path_factory.mktemp("edge")
    authority, port = make_authority(folder), free_port()
    with serving(authority.store) as store:
        given = ("s3://bucket", "--port", "PORT", "--metrics", f":{port}", "--endpoint", store.endpoint)
        with start(folder, "-m", "storage.edge", *given, environment=store.environment()) as edge:
            wait_until(lambda: value(scrape(port), "workers", state="ready") == 1)
            edge.ask(asking(authority, GOOD))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
                page = reply.read().decode()
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    histograms = [name for name, kind in found.items() if kind == "histogram"]
    return found | {f"{name}_{end}": "histogram" for name in histograms for end in ("bucket", "count", "sum")}


def test_the_rules_are_ones_that_prometheus_takes_and_that_do_what_they_say() -> None:
    promtool = judge("promtool")
    for words in (("check", "rules", RULES.name), ("test", "rules", TESTS.name)):
        ended = subprocess.run(
            [promtool, *words], cwd=RULES.parent, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_is_explained_and_tested_to_fire() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    explained = re.findall(r"^\| `(PregenEdge\w+)` \|", (DOCS / "alerts.md").read_text(), re.MULTILINE)
    fired = re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", TESTS.read_text())

    assert len(alerts) == 17
    assert sorted(explained) == sorted(alerts) == sorted(set(fired))


def test_every_metric_that_is_named_exists_and_every_one_that_exists_is_explained(shown: dict[str, str]) -> None:
    queries = expressions()
    named = set(METRIC.findall("\n".join(queries)))
    assert len(queries) > 40
    assert named <= shown.keys()
    assert set(METRIC.findall(TESTS.read_text())) <= shown.keys()

    table = (DOCS / "edge.md").read_text().partition("| `pregen_edge_` ...")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    explained = {f"pregen_edge_{name}" for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert explained == {name for name in shown if not re.search(r"_(bucket|count|sum|created)$", name)}


def test_every_value_of_a_label_that_is_named_can_be_had() -> None:
    for query in expressions():
        for label, values in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', query):
            given = {values} if label in {"job", "instance"} else set(values.split("|"))
            assert given - {"none"} <= LABELS[label] | {"probe"}, query


def test_counters_grow_and_histograms_are_asked_for_quantiles(shown: dict[str, str]) -> None:
    for query in expressions():
        for function, metric in re.findall(r"(rate|increase|histogram_quantile)\([^p]*(pregen_edge_\w+)", query):
            kinds = {"histogram"} if function == "histogram_quantile" else {"counter", "histogram"}
            assert shown[metric] in kinds, query
        for metric in re.findall(r"(pregen_edge_\w+_total)\b", query):
            assert re.search(rf"(rate|increase)\({metric}", query), query
