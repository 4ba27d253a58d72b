"""Runs whose work is done by a cluster: they are those of one machine, and no key leaves a machine."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from distributed.security import Security

from pregen.generation.cluster.parcels import pack, unpack
from pregen.snapshot.files.sources import ChangedError, LocalSource
from tests.pki import write_key
from tests.pregen.cli.ca import GOOD, Ca, Program, instants
from tests.pregen.generation.cluster.dask_processes import PROJECT, Cluster, running_cluster
from tests.pregen.generation.cluster.days import SAME, write_day


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers that nobody kills."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as cluster:
        yield cluster


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_of_a_cluster_is_that_of_one_machine(ca: Ca, pregen: Program, two: Cluster, seed: int) -> None:
    write_day(ca, seed, files=4, most_rows=3_000)
    alone = pregen("run", ca.config, "--json").document
    found = pregen("run", ca.config, "--json", "--full", "--cluster", two.address).document

    assert found["cluster"] == {"workers": 2, "threads": 2, "bytes_spooled": alone["rows_in"] * 48, "retried": 0}  # type: ignore[operator]
    assert {name: found[name] for name in SAME} == {name: alone[name] for name in SAME}
    assert pregen("verify", ca.store, "--issuer", ca.pem, "--all").code == 0
    assert pregen("verify", ca.store, "--against", ca.config).code == 0
    ca.assert_clean()


def test_a_cluster_carries_over_keeps_and_takes_urgent_changes_as_one_machine_does(
    ca: Ca, pregen: Program, two: Cluster
) -> None:
    on = ("--cluster", two.address)
    assert pregen("check", ca.config, *on).code == 0
    assert pregen("run", ca.config, *on).code == 0
    revoked_at = instants(ca.now, ca.now, None)
    changes = ca.export(to="changes.parquet", status=pa.array([1, 1, 2], pa.uint8()), revoked_at=revoked_at)
    done = pregen("delta", ca.config, changes, "--json", *on)
    assert done.code == 0, done.err
    again = pregen("run", ca.config, "--json", *on)

    assert again.code == 0, again.err
    assert again.document["carried"] or again.document["kept"]
    assert "overlay.ahead" in again.err
    look_up = ("lookup", ca.store, "--issuer", ca.pem, "--json", "--serial", f"{GOOD:x}")
    assert pregen(*look_up).document["status"] == "revoked"


def test_a_cluster_is_started_for_a_run_and_is_gone_afterwards(ca: Ca) -> None:
    words = [sys.executable, "-m", "pregen", "run", str(ca.config), "--cluster", "local:2", "--json"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=PROJECT)

    assert ended.returncode == 0, ended.stderr
    assert '"cluster": {"workers": 2, "threads": 2' in ended.stdout
    assert "distributed" not in ended.stderr
    left = subprocess.run(["pgrep", "-f", str(ca.folder)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    ca.assert_clean()


def test_an_interrupt_ends_the_cluster_that_was_started_and_publishes_nothing(ca: Ca) -> None:
    words = [sys.executable, "-m", "pregen", "run", str(ca.config), "--cluster", "local:2"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=PROJECT, start_new_session=True)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, 130), said  # it may have been done
    assert "Traceback" not in said
    ca.assert_clean()


class Recorder(threading.Thread):
    """Passes on what a scheduler and whoever calls it say to each other, and keeps it."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._to = address.rpartition(":")[0].removeprefix("tcp://"), int(address.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard = bytearray()

    def run(self) -> None:
        while True:
            ours, _ = self._listener.accept()
            theirs = socket.create_connection(self._to)
            for one, other in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError), other:  # whoever is killed resets it
            while octets := one.recv(1 << 16):
                self.heard += octets
                other.sendall(octets)


def memory_of(process_id: int) -> bytes:
    """Return what a process has in its memory, which stands still meanwhile."""
    os.kill(process_id, signal.SIGSTOP)
    parts = []
    with Path(f"/proc/{process_id}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{process_id}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if found and "[v" not in line:
                start, end = int(found[1], 16), int(found[2], 16)
                memory.seek(start)
                parts.append(memory.read(end - start))
    os.kill(process_id, signal.SIGCONT)
    return b"|".join(parts)


def test_no_key_and_no_passphrase_is_in_messages_logs_or_the_memory_of_the_scheduler(
    ca: Ca, pregen: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase = "correct horse battery staple"
    write_key(ca.folder / "ocsp.key", ca.responder.key, passphrase=passphrase)
    ca.configure(issuer={"key_passphrase_env": "PASSPHRASE_OF_R1"})
    with running_cluster(tmp_path / "cluster") as cluster:
        monkeypatch.setenv("PASSPHRASE_OF_R1", passphrase)
        recorder = Recorder(cluster.address)
        recorder.start()
        cluster.address = recorder.address
        cluster.add(2)
        ended = pregen("run", ca.config, "--cluster", recorder.address)
        assert ended.code == 0, ended.err
        number = ca.responder.key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
        pem = (ca.folder / "ocsp.key").read_bytes().splitlines()[1]
        secrets = [passphrase.encode(), number, number[::-1], str(int.from_bytes(number)).encode(), pem]
        assert b"SigningJob" not in recorder.heard, "jobs go by the spool"
        assert b"pregen.generation.making.shard" in recorder.heard, "tasks were heard"
        memory = memory_of(cluster.scheduler.pid)
        assert b"pregen.generation.cluster.afar" in memory, "it was read"
        for secret in secrets:
            assert secret not in recorder.heard
            assert secret not in cluster.logs()
            assert secret not in memory


def test_a_cluster_is_reached_by_tls_with_certificates_of_both_sides(ca: Ca, pregen: Program, tmp_path: Path) -> None:
    security = Security.temporary()
    both = tmp_path / "both.pem"
    both.write_text(f"{security.tls_client_cert}\n{security.tls_client_key}")
    files = {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(both),
        **{
            f"DASK_DISTRIBUTED__COMM__TLS__{role}__{part}": str(both)
            for role in ("SCHEDULER", "WORKER", "CLIENT")
            for part in ("CERT", "KEY")
        },
    }
    with running_cluster(tmp_path / "cluster", environment=files, protocol="tls") as cluster:
        cluster.add(
            1,
            environment=files,
            security=Security(
                tls_ca_file=str(both), tls_client_cert=str(both), tls_client_key=str(both), require_encryption=True
            ),
        )
        assert cluster.address.startswith("tls://")
        refused = pregen("run", ca.config, "--cluster", cluster.address)
        assert refused.code == 2
        assert "needs tls_ca, tls_certificate, tls_key in [cluster]" in refused.err

        ca.configure(cluster={"tls_ca": str(both), "tls_certificate": str(both), "tls_key": str(both)})
        assert pregen("run", ca.config, "--cluster", cluster.address).code == 0


def test_a_worker_that_sees_another_file_than_the_client_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"octets")
    there = unpack(pack(LocalSource.at(path)))
    assert isinstance(there, LocalSource)
    there.check()

    path.write_bytes(b"others")
    with pytest.raises(ChangedError, match="it was written to"):
        there.check()
    path.write_bytes(b"more octets")
    with pytest.raises(ChangedError, match="it has 11 octets, and had 6"):
        there.check()
