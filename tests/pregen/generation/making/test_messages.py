"""What is signed, many rows and issuers at once, is what a reader makes of each record by itself."""

from pathlib import Path

import numpy as np
import pytest

from pregen.generation.making.layout import Layout, RunNumbers
from pregen.generation.making.messages import MESSAGE_ROWS, Messages, Scratch
from pregen.generation.making.plan import make_plan
from pregen.generation.making.shard import new_records
from pregen.generation.rows.rows import load_shard
from pregen.issuers import Issuer
from storage.response import Assembler
from tests.pregen.generation.workshop import load, make_issuers, make_window, plain_rows, spool, various_rows


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, ...]:
    sections = [{}, {"cert_ids": "combined"}, {"cert_ids": "combined"}, {}]
    return make_issuers(tmp_path_factory.mktemp("issuers"), *sections)


def test_each_message_is_the_response_data_of_its_record(tmp_path: Path, issuers: tuple[Issuer, ...]) -> None:
    windows = [make_window(days=days) for days in (4, 3, 4, 5)]
    made = various_rows(400, issuers=4)
    (file,) = spool(tmp_path, made, issuer_ids=[issuer.issuer_id for issuer in issuers])
    rows = load_shard(file)
    plan = make_plan(issuers, windows, rows.groups())
    tables = plan.tables
    shapes = np.array([run.shape for run in tables.runs], np.intp)
    compared, scratch = 0, Scratch()
    for block in Layout(rows, RunNumbers(plan).of(rows.codes), shapes).blocks():
        shape = tables.shapes[block.shape]
        records = new_records(rows, shape, block.rows)
        for which in range(len(shape.responses)):
            filled = Messages(plan, block.shape, which, scratch).fill(records, block.runs)
            for record, run, message in zip(records, block.runs.tolist(), filled, strict=True):
                reader = Assembler(plan.name, tables, tables.runs[run], which)
                assert message.tobytes() == reader.response_data(record.tobytes())
                compared += 1
    assert len(shapes) > len(tables.shapes), "no shape has rows of several issuers"
    assert compared == sum(len(issuers[row.issuer].cert_ids) for row in made)


def test_a_batch_leaves_nothing_of_the_one_before(tmp_path: Path, issuers: tuple[Issuer, ...]) -> None:
    rows = load(tmp_path, plain_rows(MESSAGE_ROWS))
    plan = make_plan(issuers[:1], [make_window()], rows.groups())
    records = new_records(rows, plan.tables.shapes[0], np.arange(MESSAGE_ROWS))
    messages = Messages(plan, 0, 0, Scratch())
    runs = np.zeros(MESSAGE_ROWS, np.intp)
    first = messages.fill(records, runs).copy()
    assert (messages.fill(records[::-1], runs) == first[::-1]).all()
    assert (messages.fill(records[:5], runs[:5]) == first[:5]).all()
