from dataclasses import replace
from pathlib import Path

import pytest

from bench.figure import BenchError, Figure
from bench.memory import taken_by
from bench.thousand_million import measure_thousand_million
from tests.bench.conftest import TINY


@pytest.mark.slow  # a dozen commands, and a cluster
def test_what_a_shard_costs_is_measured_command_by_command(tmp_path: Path) -> None:
    figures = {one.name: one for one in measure_thousand_million(replace(TINY, shards=24), tmp_path)}
    assert all(isinstance(one, Figure) and one.value > 0 for one in figures.values())
    commands = {name.split(".")[1] for name in figures if name.endswith(".cpu")}
    assert commands >= {"first", "check", "idle", "full", "revoke", "rollback", "inspect", "verify", "gc"}
    full = figures["thousand-million.full.cpu"]
    assert isinstance(full, Figure)
    assert int(full.detail["put"]) >= 2 * 24  # a pack and a part of the history for each shard
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"false ended with exit code 1"):
        taken_by(tmp_path, ("/bin/false",))
