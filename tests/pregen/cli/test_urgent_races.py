"""Many publishers at once, as processes of their own: whatever each has revoked stays so, and all of them land."""

import subprocess
import sys

import pytest

from tests.pregen.cli.ca import Ca, Program

MANY = 8


def started(ca: Ca, *words: object) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "pregen", *map(str, words))
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ca.folder)


@pytest.mark.slow
def test_revocations_and_runs_of_many_processes_all_land(ca: Ca, pregen: Program) -> None:
    ca.export_many(3 * MANY)
    assert pregen("run", ca.config).code == 0
    serials = [1 << 40 | number for number in range(2 * MANY)]
    processes = [
        started(
            ca,
            "revoke",
            ca.config,
            "--issuer",
            "r1",
            "--serial",
            f"{serials[2 * one]:x}",
            "--serial",
            f"{serials[2 * one + 1]:x}",
        )
        for one in range(MANY)
    ]
    run = started(ca, "run", ca.config)
    for process in processes:
        out, _ = process.communicate(timeout=240)
        assert process.returncode == 0, out
    out, _ = run.communicate(timeout=240)
    assert run.returncode == 0, out

    for serial in serials:
        found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
        assert found.document["status"] == "revoked", f"{serial:x}"
    assert pregen("verify", ca.store).code == 0
    ca.assert_clean()
