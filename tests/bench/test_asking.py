import json
from dataclasses import replace
from pathlib import Path

from bench.asking import make_log, measure_asking
from bench.sizes import QUICK_SIZES
from pregen.logs.log_reading import LogReading


def test_an_import_and_questions_are_measured(tmp_path: Path) -> None:
    found = list(measure_asking(replace(QUICK_SIZES, log_lines=2_000), tmp_path))

    assert [one.name for one in found] == [
        "asking.import",
        "asking.import-memory",
        "asking.asked-import",
        "asking.asked-log",
    ]


def test_the_log_is_one_that_an_edge_could_have_written(tmp_path: Path) -> None:
    last = make_log(tmp_path / "log", 3_000)

    reading = LogReading([tmp_path / "log"], lambda *_: None)
    assert sum(table.num_rows for table in reading.tables()) == 3_000
    assert reading.findings() == ()
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["serial"] == last
