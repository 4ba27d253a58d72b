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
    assert "Traceback" not in edge.stderr.read_text()
