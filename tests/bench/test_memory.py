from pathlib import Path

import pytest

from bench.figure import BenchError, Figure
from bench.memory import Step, measure_memory, peak_bytes, steps_of
from bench.workload import Workload, make_workload
from pregen.cli.catalogue import COMMANDS
from tests.bench.conftest import TINY

# They take no snapshot and no store, or those of others: demo is a run, serve is asked for in lookups. Logs and what is
# asked of them, have a bench of their own, with their memory.
UNMEASURED = {"asked", "decode", "demo", "engines", "logs", "serve"}


def test_every_command_that_works_on_a_snapshot_or_a_store_is_measured(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "memory", 60, dated=True)
    named = {step.words[0] for step in steps_of(workload, 4) if step.name}
    assert named | UNMEASURED == COMMANDS.keys()


def test_the_peak_is_that_of_the_command_and_of_no_process_that_started_it(published: Workload) -> None:
    ballast = bytearray(400 << 20)
    octets = peak_bytes(published, Step("check", ("check", str(published.config))))
    assert 50 << 20 < octets < len(ballast)


def test_a_command_that_fails_is_an_error(published: Workload) -> None:
    words = ("lookup", str(published.store), "--issuer", str(published.issuer), "--serial", "1234")
    with pytest.raises(BenchError, match=r"pregen lookup .* ended with exit code 4"):
        peak_bytes(published, Step("lookup", words))


@pytest.mark.slow
def test_a_whole_life_is_measured_command_by_command(tmp_path: Path) -> None:
    figures = [one for one in measure_memory(TINY, tmp_path) if isinstance(one, Figure)]
    assert len({one.name for one in figures}) == len(figures) == 17
    assert all(one.value > 5 and one.target is not None for one in figures)
    assert list(tmp_path.iterdir()) == []
