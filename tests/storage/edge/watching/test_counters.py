"""What a worker counts: bounded, exact, and there after it was killed."""

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

from storage.certid import SHA256
from storage.edge.record import LoggedRequest, OcspStatus, Outcome
from storage.edge.watching.cells import MOST_CELLS, Cells, Key, Ledger, ledger_folder
from storage.edge.watching.counters import AGE, DURATION, LEFT, OTHER, REQUESTED, SUM, Counts
from tests.storage.edge.answers import THIS_UPDATE, answer_to, cert_id

ASKED = cert_id()
RECORD = LoggedRequest(
    method="GET",
    outcome=Outcome.ANSWERED,
    http=200,
    ocsp=OcspStatus.successful,
    cert_id=ASKED,
    answer=answer_to(ASKED),
)


def counted(folder: Path, what: str) -> dict[Key, int]:
    return {key[1:]: number for key, number in Ledger(folder).read().sums.items() if key[0] == what and number}


def test_requests_are_counted_by_what_came_of_them_and_whom_they_were_about(tmp_path: Path) -> None:
    counts = Counts(Cells(tmp_path))
    counts.know({ASKED[:3]: "r1"})
    for _ in range(3):
        counts.note(RECORD, THIS_UPDATE + 10, 70)
    counts.note(RECORD._replace(cert_id=cert_id(5, SHA256), outcome=Outcome.NOT_STORED, answer=None), THIS_UPDATE, 70)
    counts.note(LoggedRequest(method="PUT", outcome=Outcome.WRONG_METHOD, http=405), THIS_UPDATE, 0)

    assert counted(tmp_path, REQUESTED) == {
        ("answered", "GET", "sha1", "r1"): 3,
        ("not-stored", "GET", "sha256", "other"): 1,
        ("wrong-method", "other", "none", "none"): 1,
    }
    assert counted(tmp_path, DURATION) == {("3",): 4, (SUM,): 280}
    assert counted(tmp_path, AGE) == {("0",): 3, (SUM,): 30}
    assert counted(tmp_path, LEFT) == {("8",): 3, (SUM,): 3 * (4 * 86_400 - 11)}


def note_strangers(counts: Counts, numbers: range) -> None:
    for number in numbers:
        stranger = cert_id(number, issuer=b"stranger %d" % number)._replace(hash_oid=f"1.2.{number}")
        counts.note(RECORD._replace(method=f"M{number}", cert_id=stranger), THIS_UPDATE, 1)


def test_what_strangers_send_adds_no_label_and_no_memory(tmp_path: Path) -> None:
    counts = Counts(cells := Cells(tmp_path))
    note_strangers(counts, range(2_000))  # the interpreter itself keeps some of what it has freed
    before = cells.free_count
    tracemalloc.start()
    note_strangers(counts, range(2_000, 12_000))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert before == cells.free_count
    assert grown < 200_000, "each of ten thousand would take a hundred octets"
    assert counted(tmp_path, REQUESTED) == {("answered", OTHER, OTHER, OTHER): 12_000}


def test_ten_thousand_issuers_leave_room_for_every_kind_of_request(tmp_path: Path) -> None:
    counts = Counts(cells := Cells(tmp_path))
    asked = [cert_id(1, issuer=b"issuer %d" % number) for number in range(10_000)]
    counts.know({one[:3]: f"r{number}" for number, one in enumerate(asked)})
    kinds = [(outcome, method) for outcome in Outcome for method in ("GET", "HEAD", "POST", "PUT")]
    for outcome, method in kinds:
        for one in asked[:1_200]:
            counts.note(RECORD._replace(outcome=outcome, method=method, cert_id=one), THIS_UPDATE, 1)

    found = counted(tmp_path, REQUESTED)
    assert sum(found.values()) == 1_200 * len(kinds)
    assert 0 < cells.free_count < MOST_CELLS // 10
    assert found["answered", "GET", "sha1", "r999"] == 1
    assert found["gone", "other", "sha1", "other"] == 1_200


WORKER = """
import sys, time
from pathlib import Path
from storage.edge.record import LoggedRequest, Outcome
from storage.edge.watching.cells import Cells
from storage.edge.watching.counters import Counts
counts = Counts(Cells(Path(sys.argv[1])))
for _ in range(int(sys.argv[2])):
    counts.note(LoggedRequest(method="GET", outcome=Outcome.PROBE, http=200), 0, 1)
counts.say({"state": "ready"})
print("counted", flush=True)
time.sleep(600)
"""


def test_a_killed_worker_leaves_all_that_it_had_counted_and_no_files(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in (1, 2):
        command = [sys.executable, "-c", WORKER, str(tmp_path), "100"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "counted\n"
            living = ledger.read()
            worker.send_signal(signal.SIGKILL)
        dead = ledger.read()

        assert living.sums[REQUESTED, "probe", "GET", "none", "none"] == number * 100
        assert dead.sums == living.sums
        assert [one.state for one in living.workers] == [{"state": "ready"}]
        assert (dead.workers, dead.started) == ((), number)
        assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_whole_names_nothing(tmp_path: Path) -> None:
    counts, ledger = Counts(Cells(tmp_path)), Ledger(tmp_path)
    counts.note(RECORD, THIS_UPDATE, 1)
    (names,) = tmp_path.glob("*.names")
    whole = '["requests", "answered", "GET", "sha1", "r\\u00e9"]\n'
    for octets in ("", whole[:12], whole[12:30], whole[30:]):
        with names.open("a") as file:
            file.write(octets)
        sums = ledger.read().sums
        assert sum(number for key, number in sums.items() if key[0] == REQUESTED) == 1
        assert ((REQUESTED, "answered", "GET", "sha1", "ré") in sums) is octets.endswith("\n")


OWNER = """
import sys, tempfile, time
from pathlib import Path
from storage.edge.watching import cells
cells._IN_MEMORY = Path("/nowhere")
with cells.ledger_folder() as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_the_folder_of_a_killed_server_is_removed_by_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    folders = []
    servers = []
    for _ in range(2):
        command = [sys.executable, "-c", OWNER]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
        )
        assert server.stdout is not None
        folders.append(Path(server.stdout.readline().strip()))
        servers.append(server)
    servers[0].kill()
    servers[0].communicate()
    code = OWNER.replace("time.sleep(600)", "")
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)

    assert [folder.exists() for folder in folders] == [False, True]
    servers[1].kill()
    servers[1].communicate()


def test_the_folder_goes_with_its_server() -> None:
    with ledger_folder() as folder:
        assert folder.is_dir()
    assert not folder.exists()
