from pathlib import Path

import pytest

from pregen.logs.log_reading import FileFacts, LogReading
from pregen.logs.stretches import WorkerStretch, in_order
from pregen.logs.wholeness import Interval, known_interval, lacks_in, workers_of
from tests.pregen.logs.written import START, Writer, a_day, write

FIRST = int(START.timestamp()) * 1000


def facts_of(folder: Path, *files: list[str]) -> list[FileFacts]:
    paths = [write(folder / f"log.{number}", lines) for number, lines in enumerate(files)]
    reading = LogReading(paths, lambda *_: None)
    for _ in reading.tables():
        pass
    return reading.files


def lacks(files: list[FileFacts], first: float, end: float) -> list[str]:
    interval = Interval(FIRST + int(first * 1000), FIRST + int(end * 1000))
    return [lack.code for lack in lacks_in(interval, files, workers_of(files))]


def known(files: list[FileFacts]) -> tuple[float, float] | None:
    found = known_interval(workers_of(files))
    return found and ((found.from_ms - FIRST) / 1000, (found.to_ms - FIRST) / 1000)


def test_a_log_from_start_to_end_lacks_nothing(tmp_path: Path) -> None:
    files = facts_of(tmp_path, a_day().lines)

    assert known(files) == (0, 600)
    assert lacks(files, 0, 600) == []


@pytest.mark.parametrize("cut", [1, 30, 61, 62, 63, 200, 610])
def test_files_of_a_rotated_log_are_as_good_as_one_whatever_their_order(tmp_path: Path, cut: int) -> None:
    lines = a_day().lines

    files = facts_of(tmp_path, lines[cut:], lines[:cut])

    assert known(files) == (0, 600)
    assert lacks(files, 0, 600) == []


@pytest.mark.parametrize("gone", [1, 59, 60, 62, 100, 610])
def test_a_request_line_that_is_not_there_is_missed_in_its_minute_and_in_no_other(tmp_path: Path, gone: int) -> None:
    lines = a_day().lines
    assert '"counters"' not in lines[gone]

    files = facts_of(tmp_path, lines[:gone] + lines[gone + 1 :])

    minute = (gone - 1) // 61 * 60
    assert lacks(files, 0, 600) == ["lines-missing"]
    assert lacks(files, minute, minute + 60) == ["lines-missing"]
    assert lacks(files, 0, minute) == lacks(files, minute + 60, 600) == []


def test_counters_that_are_not_there_are_missed_as_other_lines_are(tmp_path: Path) -> None:
    lines = a_day().lines
    assert '"counters"' in lines[61]

    assert lacks(facts_of(tmp_path, lines[:61] + lines[62:]), 0, 600) == ["lines-missing"]
    assert lacks(facts_of(tmp_path, lines[1:]), 0, 600) == ["lines-missing"]


def test_a_file_of_the_middle_that_is_not_there_is_missed(tmp_path: Path) -> None:
    lines = a_day().lines

    files = facts_of(tmp_path, lines[:200], lines[400:])

    assert lacks(files, 0, 600) == ["lines-missing"]
    assert lacks(files, 0, 120) == lacks(files, 480, 600) == []


def test_lines_that_are_there_twice_are_noticed(tmp_path: Path) -> None:
    lines = a_day().lines

    assert "lines-twice" in lacks(facts_of(tmp_path, lines[:300], lines[200:]), 0, 600)


def test_a_log_that_is_cut_at_both_ends_is_known_between_its_counters(tmp_path: Path) -> None:
    files = facts_of(tmp_path, a_day().lines[10:-100])

    begin, end = known(files) or (0, 0)
    assert (begin, end) == (60, 480)
    assert lacks(files, begin, end) == []
    assert lacks(files, begin - 1, end) == ["lines-missing"]
    assert "unfinished" in lacks(files, begin, end + 1)


def test_after_the_last_counters_of_a_worker_that_was_killed_nothing_is_known_until_it_is_known_to_be_dead(
    tmp_path: Path,
) -> None:
    killed = Writer("aaaaaaaa").counts(0).asks(1).counts(60).asks(61).asks(70)
    other = Writer("bbbbbbbb").counts(0)
    for minute in range(1, 11):
        other.asks(minute * 60 - 1).counts(minute * 60)

    files = facts_of(tmp_path, [*killed.lines, *other.counts(600, is_end=True).lines])

    assert lacks(files, 0, 60) == []
    assert lacks(files, 60, 61) == ["unfinished"]
    assert lacks(files, 189, 190) == ["unfinished"]
    assert lacks(files, 190, 600) == []


@pytest.mark.parametrize("host", ["edge-2", None])
def test_a_log_of_another_machine_in_the_same_file_says_nothing_about_the_end_of_a_worker(
    tmp_path: Path, host: str | None
) -> None:
    cut = Writer("aaaaaaaa", host="edge-1" if host else None).counts(0).asks(1).counts(60)
    other = Writer("bbbbbbbb", host=host).counts(0)
    for minute in range(1, 11):
        other.asks(minute * 60 - 1).counts(minute * 60)

    files = facts_of(tmp_path, [*cut.lines, *other.counts(600, is_end=True).lines])

    assert lacks(files, 0, 60) == []
    assert lacks(files, 599, 600) == ["unfinished"]


def test_a_request_under_way_while_counters_were_written_may_be_logged_behind_them(tmp_path: Path) -> None:
    worker = Writer().counts(0).asks(1)
    worker.under_way = 1

    files = facts_of(tmp_path, worker.counts(300).lines)

    assert known(files) == (0, 240)
    assert lacks(files, 0, 240) == []
    assert lacks(files, 0, 241) == ["unfinished"]


def test_lost_and_left_out_lines_are_told_apart_from_those_that_are_not_there(tmp_path: Path) -> None:
    worker = Writer(sample=10).counts(0).asks(1).counts(60)
    worker.requests, worker.lost = worker.requests + 3, 3
    worker.counts(120)
    worker.requests, worker.sampled_out = worker.requests + 9, 9
    worker.asks(130, weight=10).counts(180).asks(190).counts(240, is_end=True)

    files = facts_of(tmp_path, worker.lines)

    assert lacks(files, 0, 60) == lacks(files, 180, 240) == []
    assert lacks(files, 60, 120) == ["lines-lost"]
    assert lacks(files, 120, 180) == ["sampled"]


def test_a_restart_is_no_hole_and_a_longer_absence_is(tmp_path: Path) -> None:
    def files(away: int) -> list[FileFacts]:
        after = Writer("bbbbbbbb", began=60 + away)
        after.counts(60 + away).asks(90 + away).counts(120 + away, is_end=True)
        return facts_of(tmp_path, [*Writer().counts(0).asks(1).counts(60, is_end=True).lines, *after.lines])

    assert lacks(files(5), 0, 125) == []
    assert lacks(files(300), 0, 420) == ["no-log"]
    assert lacks(files(300), 61, 359) == ["no-log"]


def test_lines_of_an_edge_that_does_not_count_prove_nothing(tmp_path: Path) -> None:
    old = [line.replace(', "worker": "0a1b2c3d"', "") for line in Writer().asks(1).asks(50).lines]

    files = facts_of(tmp_path, old)

    assert known(files) is None
    assert "no-counters" in lacks(files, 0, 60)


def test_stretches_keep_what_they_tell_when_they_are_condensed_and_written(tmp_path: Path) -> None:
    (file,) = facts_of(tmp_path, [*a_day().lines[:100], *a_day().lines[101:]])
    (stretch,) = file.stretches.values()

    assert len(stretch.counters) < 6
    assert sum(stretch.seen) == 612
    assert WorkerStretch.of_members(stretch.members()) == stretch
    assert FileFacts.of_members(file.members()).stretches == file.stretches
    assert in_order([stretch]) == [stretch]


def test_a_log_that_has_no_time_between_two_counters_knows_of_no_time(tmp_path: Path) -> None:
    assert known(facts_of(tmp_path, a_day().lines[-2:])) is None
    assert known(facts_of(tmp_path, a_day().lines[5:70])) is None
