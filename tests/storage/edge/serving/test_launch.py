import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from storage.edge.__main__ import main
from storage.edge.serving.launch import free_address, serve
from storage.stores import StoreAddress
from tests.storage.edge.answers import cert_id, encode_request
from tests.storage.edge.processes import start, wait_until

TRY_LATER = bytes.fromhex("30030a0103")


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_the_server_starts_before_anything_is_published_and_logs_where_it_is_told(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    arguments = (
        "-m",
        "storage.edge",
        str(tmp_path / "store"),
        "--port",
        "PORT",
        "--workers",
        "2",
        "--host",
        "localhost",
    )
    with start(tmp_path, *arguments, "--log-file", str(log)) as server:
        assert server.get(b"/readyz").status == 503
        body = encode_request(cert_id())
        reply = server.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert reply.body == TRY_LATER
        wait_until(lambda: "nothing-published" in log.read_text())

        log.rename(tmp_path / "rotated.log")
        server.get(b"/readyz")
        wait_until(lambda: log.exists() and "probe" in log.read_text())

        wait_until(lambda: server.stderr.read_text().count("nothing is published") == 2)  # once a worker
        assert server.stop() == 0
        words = [json.loads(line)["message"] for line in server.stderr.read_text().splitlines()]
        assert words[0] == f"serving at http://127.0.0.1:{server.port} with 2 worker(s)"
        assert ["nothing is published" in word for word in words[1:]] == [True, True]
        assert server.stdout.read_text() == ""


def test_a_port_in_use_is_refused_though_the_listeners_could_share_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        assert serve(StoreAddress(str(tmp_path)), host="127.0.0.1", port=port, workers=1) == 2
    assert refused(capsys) == f"error: cannot listen at 127.0.0.1 port {port}: Address already in use"


def test_port_0_is_a_free_one() -> None:
    host, port = free_address("localhost", 0)

    assert host in {"127.0.0.1", "::1"}
    assert port > 1024
    assert free_address(host, port) == (host, port)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["memory:"], "memory: is no kind of store"),
        (["."], "0 workers cannot serve"),
        ([".", "--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
        ([".", "--host", "no such host"], "cannot listen at no such host"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--workers", "0" if "workers" in why else "1"]) == 2
    assert why in refused(capsys)


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing/requests.log", "No such file or directory"), (".", "Is a directory"), ("fifo", "No such device")],
)
def test_a_log_file_that_cannot_be_written_is_refused_at_the_start(
    tmp_path: Path, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo")

    assert main([str(tmp_path / "store"), "--log-file", str(tmp_path / name)]) == 2
    assert f"error: the log file {tmp_path / name} cannot be written: {why}" in refused(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["store", "--port", "65536"],
        ["store", "--port", "x"],
        ["store", "--nope"],
        ["store", "--max-age-cap", "25h"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    assert "usage: python -m storage.edge" in capsys.readouterr().err


def test_without_credentials_the_log_says_what_is_missing_until_they_are_there(tmp_path: Path) -> None:
    missing = {name: "" for name in os.environ if name.startswith("AWS_")} | {"HOME": str(tmp_path)}
    arguments = ("-m", "storage.edge", "s3://bucket/prefix", "--port", "PORT")
    with start(tmp_path, *arguments, environment=missing) as server:
        wait_until(lambda: "refresh failed, nothing is loaded" in server.stderr.read_text())

        assert "PermissionError" in server.stderr.read_text()
        assert server.get(b"/readyz").status == 503


@pytest.mark.parametrize(
    ("missing", "extras"), [(["granian"], "sign,edge"), (["granian", "msgspec"], "edge")], ids=["publisher", "edge"]
)
def test_without_granian_one_line_says_how_to_get_it_without_losing_what_is_here(
    tmp_path: Path, missing: list[str], extras: str
) -> None:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}));"
        "from storage.edge import __main__ as it; sys.exit(it.main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr == f'error: the server is not installed: pip install "ocsp-pregen[{extras}]"\n'
