import asyncio
import time
from pathlib import Path

from storage.edge.respond import HttpRequest, Reply, respond
from storage.edge.serving.patience import PatientLookups
from storage.edge.serving.settings import Settings
from storage.edge.serving.vigil import Vigil, counts_in
from storage.edge.source import Loaded
from storage.edge.watching.canary import Canary
from storage.edge.watching.cells import Ledger
from tests.storage.edge.answers import GENERATION, FakeSource, cert_id
from tests.storage.edge.processes import wait_until

ASKED = cert_id()


class Idle(FakeSource):
    def refresh(self) -> bool:
        return False


def wait_for_news(folder: Path) -> None:
    (state,) = folder.glob("*.state")
    state.unlink()
    wait_until(state.exists)


def test_a_store_that_is_slow_to_answer_for_canaries_holds_up_neither_the_start_nor_what_a_worker_says(
    tmp_path: Path,
) -> None:
    source = Idle(loaded=Loaded(as_of=0, behind={}, overlays=0, issuers={ASKED[:3]: "r1"}))
    settings = Settings(canaries=(Canary(status="good", serial=ASKED.serial, issuer="r1"),))

    async def reply(_request: HttpRequest, _now: int) -> Reply:
        await asyncio.sleep(600)
        raise AssertionError

    async def live() -> float:
        vigil = Vigil(source, PatientLookups(source, respond), settings, counts_in(tmp_path), reply)
        began = time.monotonic()
        await vigil.start()
        took = time.monotonic() - began
        running = asyncio.create_task(vigil.run())
        await asyncio.to_thread(wait_for_news, tmp_path)
        running.cancel()
        vigil.stop()
        return took

    assert asyncio.run(asyncio.wait_for(live(), 60)) < 10
    (worker,) = Ledger(tmp_path).read().workers
    assert (worker.state["generation"], worker.state["canaries"]) == (
        GENERATION,
        {"right": 0, "wrong": 0, "skipped": 0},
    )


def test_a_worker_that_cannot_be_counted_answers_all_the_same(tmp_path: Path) -> None:
    counts_in(tmp_path / "nowhere").look_up("memory")
