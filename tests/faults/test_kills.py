"""SIGKILL at random moments of whatever publishes, with an edge that is asked all the time.

Every answer is signed and unexpired, and what was revoked for good stays so; the command after the kill completes. The
seed of a test is in its name, and chooses commands and moments; how far a command had come is up to the machine.
"""

import base64
import random
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus, OCSPRequestBuilder, OCSPResponseStatus, load_der_ocsp_response

from pregen.config import load_config
from pregen.exit_codes import ExitCode
from pregen.identities import identity_of
from pregen.overlays.records import MOST_OVERLAYS
from storage.reader import Generation, open_reader
from storage.stores import StoreAddress, open_store
from tests.faults.zygote import Zygote
from tests.pregen.cli.ca import Ca, instants, octets
from tests.s3 import S3Server
from tests.storage.edge.processes import ServerProcess, start

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and is killed")

SERIALS = tuple(range(0x1001, 0x1041))
FIRST_ADDED = 0x2001
WEIGHTS = {"run": 4, "revoke": 4, "delta": 2, "gc": 2, "rollback": 1, "merge": 1}
KILLED = -signal.SIGKILL


class Asking:
    """Somebody who asks an edge all the time, and remembers what was revoked."""

    def __init__(self, edge: ServerProcess, ca: Ca) -> None:
        self.edge = edge
        self.key = ca.responder.certificate.public_key()
        self.hashes = name_and_key_hash(ca)
        self.revoked: set[int] = set()
        self.answers = 0
        self.wrong: list[str] = []

    @contextmanager
    def all_the_time(self) -> Iterator[None]:
        """Ask while the block runs."""
        is_over = threading.Event()

        def ask() -> None:
            dice = random.Random(0)
            while not is_over.wait(0.01):
                self.ask(dice.choice(SERIALS))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def ask(self, serial: int) -> None:
        request = OCSPRequestBuilder().add_certificate_by_hash(*self.hashes, serial, SHA256()).build()
        path = b"/" + base64.b64encode(request.public_bytes(Encoding.DER), altchars=b"-_")
        answer = load_der_ocsp_response(self.edge.get(path.replace(b"=", b"%3D")).body)
        now = datetime.now(UTC)
        self.answers += 1
        if answer.response_status != OCSPResponseStatus.SUCCESSFUL:
            self.wrong.append(f"{serial:x}: {answer.response_status}")
            return
        assert isinstance(self.key, ec.EllipticCurvePublicKey)
        assert answer.signature_hash_algorithm is not None
        self.key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm))
        if answer.next_update_utc is None or not answer.this_update_utc <= now <= answer.next_update_utc:
            self.wrong.append(f"{serial:x}: {answer.this_update_utc} .. {answer.next_update_utc} at {now}")
        if answer.certificate_status == OCSPCertStatus.REVOKED:
            self.revoked.add(serial)
        elif serial in self.revoked:
            self.wrong.append(f"{serial:x}: was revoked, and is {answer.certificate_status}")


def name_and_key_hash(ca: Ca) -> tuple[bytes, bytes]:
    asked = identity_of(ca.issuer.der).cert_id("sha256", b"\1")
    return asked.issuer_name_hash, asked.issuer_key_hash


class Commands:
    """A CA whose commands are killed."""

    def __init__(self, ca: Ca, zygote: Zygote, seed: int) -> None:
        self.ca, self.zygote, self.dice = ca, zygote, random.Random(seed)
        self.revoked: set[int] = set()  # in the database
        self.added: list[int] = []  # to the database, urgently
        self.took_s = dict.fromkeys(WEIGHTS, 0.2)
        self.kills = 0

    def words(self, name: str) -> tuple[object, ...]:
        """Return a command; its files are there."""
        serial = self.dice.choice(SERIALS)
        match name:
            case "run":
                if self.dice.random() < 0.7:
                    self.revoked.add(serial)
                self.export_all()
                return ("run", self.ca.config)
            case "revoke":
                return ("revoke", self.ca.config, "--issuer", "r1", "--serial", f"{serial:x}")
            case "delta":
                return self.delta(serial, is_revoked=True)
            case "merge":  # as many overlays as there may be, and one more
                while self.overlays() < MOST_OVERLAYS:
                    assert self.zygote.run(*self.add_one()) == ExitCode.DONE, self.zygote.said
                return self.add_one()
            case "rollback" if (base := self.base()) > 1:
                return ("rollback", self.ca.config, "--to", base - 1, "--reason", "test")
            case _:  # also where there is nothing yet to go back to
                return ("gc", self.ca.config, "--keep", 2, "--grace", self.grace)

    @property
    def grace(self) -> str:
        """For how long what nobody names any more stays: an edge of a bucket may read it until its next look."""
        return "0s" if self.address.url.startswith("file:") else "6s"

    def add_one(self) -> tuple[object, ...]:
        """Return the command that publishes one more certificate."""
        self.added.append(FIRST_ADDED + len(self.added))
        return self.delta(self.added[-1], is_revoked=False)

    def delta(self, serial: int, *, is_revoked: bool) -> tuple[object, ...]:
        self.export("delta.parquet", [serial], [serial] if is_revoked else [])
        return ("delta", self.ca.config, self.ca.folder / "delta.parquet")

    def export_all(self) -> None:
        """Export what is in the database."""
        self.export("snapshot.parquet", [*SERIALS, *self.added], self.revoked)

    def export(self, to: str, serials: Collection[int], revoked: Collection[int]) -> None:
        as_of = datetime.now(UTC).replace(microsecond=0)
        at = self.ca.now - timedelta(hours=2)
        self.ca.export(
            to=to,
            as_of=as_of,
            serial=octets(*serials),
            status=pa.array([int(serial in revoked) for serial in serials], pa.uint8()),
            revoked_at=instants(*[at if serial in revoked else None for serial in serials]),
            reason=None,
            not_after=instants(*[self.ca.now + timedelta(days=300)] * len(serials)),
        )

    def current(self) -> Generation:
        current = open_reader(open_store(self.address)).current
        assert current is not None
        return current

    def base(self) -> int:
        """Return the number of the run or rollback that is current."""
        return self.current().commit.base

    def overlays(self) -> int:
        """Return how many overlays there are; all of them are small, so that each is one pack."""
        return len(self.current().manifest.overlays)

    @property
    def address(self) -> StoreAddress:
        return load_config(self.ca.config).store

    def kill_one(self) -> None:
        """Kill a command, and let it complete."""
        (name,) = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        words = self.words(name)
        code = self.zygote.run(*words, killed_after_s=self.dice.uniform(0.0, 1.1) * self.took_s[name])
        self.kills += code == KILLED
        began = time.monotonic()
        code = self.zygote.run(*words)
        self.took_s[name] = time.monotonic() - began
        # A rollback may be refused: what it would go back to may be cleaned up.
        ends = (ExitCode.DONE, ExitCode.REFUSED) if name == "rollback" else (ExitCode.DONE,)
        assert code in ends, f"{words}: {self.zygote.said}"


def kill_many(ca: Ca, folder: Path, seed: int, kills: int) -> None:
    """Kill commands until so many were killed before their end, and let each complete."""
    with Zygote(folder) as zygote:
        commands = Commands(ca, zygote, seed)
        commands.export_all()
        for words in (("run", ca.config), commands.words("revoke")):  # whatever is drawn below, something is revoked
            assert zygote.run(*words) == ExitCode.DONE, zygote.said
        with start(folder, "-m", "storage.edge", commands.address.url, "--port", "PORT") as edge:
            asking = Asking(edge, ca)
            with asking.all_the_time():
                while commands.kills < kills:
                    commands.kill_one()
            assert asking.wrong == []
            assert asking.answers > kills
            assert asking.revoked, "there was something to be remembered"
        commands.export_all()
        assert zygote.run("run", ca.config) == ExitCode.DONE, zygote.said
        assert zygote.run("verify", commands.address.url, "--issuer", ca.pem, "--all") == ExitCode.DONE, zygote.said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (folder := tmp_path / "edge").mkdir()
    return folder


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 14), *(pytest.param(seed, 20, marks=pytest.mark.slow) for seed in range(10, 15))]
)
def test_whatever_is_killed_in_a_folder_nobody_gets_a_wrong_answer(ca: Ca, folder: Path, seed: int, kills: int) -> None:
    kill_many(ca, folder, seed, kills)


@pytest.mark.parametrize(
    ("seed", "kills"), [(2, 6), *(pytest.param(seed, 20, marks=pytest.mark.slow) for seed in range(20, 25))]
)
def test_whatever_is_killed_on_s3_nobody_gets_a_wrong_answer(
    ca: Ca, folder: Path, s3_environment: S3Server, seed: int, kills: int
) -> None:
    ca.configure(publish={"store": f"s3://{s3_environment.new_bucket()}/ca/ocsp"})
    kill_many(ca, folder, seed, kills)
