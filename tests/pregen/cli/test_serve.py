import signal
from pathlib import Path

import pytest

from tests.pregen.cli.ca import Ca, Program
from tests.storage.edge.processes import start


@pytest.mark.parametrize("words", [("store",), ("--config", "pregen.toml")], ids=["STORE", "--config"])
def test_serve_answers_from_the_store_until_it_is_terminated(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert pregen("run", ca.config).code == 0
    monkeypatch.chdir(ca.folder)

    log = tmp_path / "requests.jsonl"
    with start(tmp_path, "-m", "pregen", "serve", *words, "--port", "PORT", "--log-file", str(log)) as edge:
        assert edge.get(b"/readyz").status == 200
        assert edge.get(b"/" + b"A" * 12).status == 200, "an OCSP error is an answer"
        assert edge.stop(signal.SIGTERM) == 0

    assert "malformed" in log.read_text()
    assert "is loaded" in edge.stderr.read_text()
    assert "Traceback" not in edge.stderr.read_text()


@pytest.mark.parametrize("words", [("-m", "pregen", "serve"), ("-m", "storage.edge")], ids=["pregen", "edge"])
def test_a_quiet_server_logs_its_requests_and_nothing_else(
    ca: Ca, pregen: Program, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert pregen("run", ca.config).code == 0

    with start(tmp_path, *words, str(ca.store), "--port", "PORT", "--quiet") as edge:
        assert edge.get(b"/" + b"A" * 12).status == 200
        assert edge.stop(signal.SIGTERM) == 0

    assert edge.lines()[-1]["outcome"] == "malformed"
    assert edge.stderr.read_text() == ""
