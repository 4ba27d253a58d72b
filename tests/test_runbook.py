"""The run-book of docs/operations.md: all of its commands are typed, in its order, and answers are what it promises."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from pregen.identities import identity_of
from storage.commits import find_head, read_commit
from storage.manifest import read_manifest
from storage.reader import open_reader
from storage.stores import LocalStore
from tests.pki import DAY, make_responder
from tests.pregen.cli.ca import Ca, instants, octets
from tests.test_papers import OPERATIONS

SERIALS = tuple(range(0x5101, 0x5141))
COMPROMISED, LAST = SERIALS[:3], SERIALS[-1]
_CASE = re.compile(r"^### (.*?)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^```shell\n(?P<typed>.*?)^```$|^<!-- (?P<happens>.*?) -->$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """What is typed, or what happens before it."""

    typed: str | None
    happens: str | None


def cases() -> dict[str, list[Step]]:
    """Return the cases of the run-book, and what belongs to each."""
    book = OPERATIONS.read_text().partition("## Run-book\n")[2]
    book = re.split(r"^## ", book, maxsplit=1, flags=re.MULTILINE)[0] + "## end"
    return {title: [Step(*found) for found in _STEP.findall(text)] for title, text in _CASE.findall(book)}


class BadDay(Ca):
    """A CA to which everything happens that the run-book knows."""

    def snapshot_of(self, *serials: int) -> None:
        """Export certificates, all of them good."""
        count = len(serials)
        self.export(
            as_of=datetime.now(UTC).replace(microsecond=0),
            serial=octets(*serials),
            status=None,
            revoked_at=instants(*[None] * count),
            reason=None,
        )

    def typed(self, commands: str) -> str:
        """Type commands into a shell, which ends at the first one that fails; return what they print."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/bash", "-e", "-c", commands],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def status(self, serial: int, store: str = "store") -> str:
        """Return what an edge answers."""
        request = identity_of(self.issuer.der).cert_id("sha256", serial.to_bytes(2, "big"))
        answer = open_reader(LocalStore(self.folder / store)).lookup(request)
        assert answer
        return answer.status

    def history(self, store: str = "store") -> list[str]:
        """Return the kinds of all commits, the first one first."""
        at = LocalStore(self.folder / store)
        kinds, number = list[str](), 1
        while found := read_commit(at, number):
            kinds.append(found.commit.kind)
            number += 1
        return kinds

    def damage_a_pack(self) -> None:
        """Turn over one bit of the pack of the shard that is published."""
        store = LocalStore(self.store)
        head = find_head(store)
        assert head
        [shard] = read_manifest(store, head.commit.manifest).shards
        pack = self.store / shard.pack
        octets_of = bytearray(pack.read_bytes())
        octets_of[100] ^= 1
        pack.write_bytes(octets_of)

    def lose_the_history(self) -> None:
        """Remove what gates compare with."""
        shutil.rmtree(self.store / "history")


@pytest.fixture
def day(tmp_path: Path) -> BadDay:
    """A CA that has published once, with the pair of the next responder at hand."""
    ca = BadDay(tmp_path)
    shutil.copy(ca.pem, tmp_path / "r1.pem")
    ca.configure(issuer={"certificate": "r1.pem"})
    (tmp_path / "next").mkdir()
    make_responder(ca.issuer, not_before=ca.now - DAY, not_after=ca.now + 90 * DAY).write(tmp_path / "next", "ocsp")
    (tmp_path / "compromised.txt").write_text("".join(f"{serial:x}\n" for serial in COMPROMISED))
    ca.snapshot_of(*SERIALS)
    ca.typed("pregen run pregen.toml")
    return ca


def play(day: BadDay, steps: list[Step]) -> Iterator[str]:
    """Let everything happen and type everything; yield what each block prints."""
    events = {"a pack is damaged": day.damage_a_pack, "the history is lost": day.lose_the_history}
    for step in steps:
        if step.happens:
            events[step.happens]()
        else:
            assert step.typed
            yield day.typed(step.typed)


def test_the_run_book_keeps_what_it_promises(day: BadDay) -> None:
    book = cases()
    assert len(book) == 6

    [said] = play(day, book.pop("Keys of certificates are compromised"))
    assert [day.status(serial) for serial in (*COMPROMISED, LAST)] == ["revoked", "revoked", "revoked", "good"]

    [said] = play(day, book.pop("The responder's key changes, or its certificate ends"))
    assert "overlay.ahead" in said
    assert "all, because of: responder-certificate" in said

    day.snapshot_of(*SERIALS[:-1])
    day.typed("pregen run pregen.toml --accept shrink --reason mistaken")
    blocks = play(day, book.pop("A bad snapshot was published"))
    next(blocks)
    assert day.status(LAST) == "good"
    assert day.history() == ["run", "revoke", "run", "run", "rollback"]
    day.snapshot_of(*SERIALS)
    assert "overlay.ahead" in next(blocks)

    lost, refused = play(day, book.pop("The store is damaged, or lost"))
    assert "damaged, or lost" in lost
    assert "refused: history.damaged" in refused

    list(play(day, book.pop("The disk is full")))

    list(play(day, book.pop("Another bucket")))
    assert day.history("elsewhere")[: len(day.history())] == day.history()
    statuses = [day.status(serial, "elsewhere") for serial in SERIALS]
    assert statuses == ["revoked"] * len(COMPROMISED) + ["good"] * (len(SERIALS) - len(COMPROMISED))
    assert not book
