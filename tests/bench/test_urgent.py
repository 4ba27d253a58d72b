from pathlib import Path

import pytest

from bench.figure import BenchError
from bench.lookups import choose
from bench.runs import publish
from bench.urgent import revoke_many
from bench.workload import make_workload
from storage.reader import open_reader
from storage.stores import LocalStore


def test_many_are_revoked_by_one_command(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "urgent", 60)
    publish(workload)
    report, seconds = revoke_many(workload, 50)

    assert (report.changed, report.responses) == (50, 50)
    assert seconds > 0
    reader = open_reader(LocalStore(workload.store))
    answers = [reader.lookup(one.cert_id) for one in choose(workload, 60)]
    assert sum(answer is not None and answer.status == "revoked" for answer in answers) >= 40
    with pytest.raises(BenchError, match="something else"):
        revoke_many(workload, 50)
