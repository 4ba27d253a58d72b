import re
import shlex
import socket
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.cli.tour import DEMO_ALGORITHMS
from pregen.config import (
    COLUMNS,
    AnchorConfig,
    ColumnConfig,
    GatesConfig,
    IssuerConfig,
    IssuerValidityConfig,
    KeepConfig,
    PublishConfig,
    RefreshConfig,
    RunConfig,
    S3Config,
    SnapshotConfig,
    ValidityConfig,
    load_config,
)
from pregen.demo.certificates import write_snapshot
from pregen.signers import ALGORITHMS
from storage.edge.serving.launch import free_address
from tests.judges.programs import judge
from tests.pregen.cli.ca import Program
from tests.storage.edge.processes import start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "of a CA" / "demo"  # not there yet, and with spaces that a shell would split at


def test_the_certificates_of_the_demo_are_as_real_ones_are(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "day.parquet", 20_000, datetime(2026, 11, 24, tzinfo=UTC))
    table = pq.read_table(tmp_path / "day.parquet")
    not_before, not_after, revoked_at = (
        np.array([value or 0 for value in table[name].cast(pa.int64()).to_pylist()])
        for name in ("not_before", "not_after", "revoked_at")
    )
    revoked = revoked_at > 0

    assert (not_before < not_after).all()
    assert (revoked_at[revoked] >= not_before[revoked]).all()
    assert (revoked_at[revoked] <= np.minimum(not_after, 1_795_478_400_000)[revoked]).all()


@pytest.mark.parametrize(
    "words", [(), ("--algorithm", "rsa2048", "--engine", "software", "--workers", "2")], ids=["usual", "rsa2048"]
)
def test_the_demo_signs_looks_up_and_verifies(pregen: Program, folder: Path, words: tuple[str, ...]) -> None:
    ended = pregen("demo", "--dir", folder, "--rows", "300", *words)

    assert (ended.code, ended.err) == (0, "")
    assert "300 certificates in snapshot.parquet" in ended.out
    assert "all right: a run would publish" in ended.out
    assert "published commit 1" in ended.out
    for status in ("good", "revoked", "unknown"):
        assert re.search(rf"^  [0-9a-f]+ +{status} +\d+ octets  openssl: Response verify OK$", ended.out, re.MULTILINE)
        assert (folder / f"{status}.der").exists()
    assert re.search("^  0badc0de +absent   an edge answers unauthorized$", ended.out, re.MULTILINE)
    config = load_config(folder / "pregen.toml")
    assert config.validity.lifetime == "4d"
    assert (folder / "ocsp.key").stat().st_mode & 0o777 == 0o600
    assert "# Configuration of pregen, made by `pregen demo`" in (folder / "pregen.toml").read_text()
    assert pregen("check", folder / "pregen.toml").code == 0
    if words:
        assert (config.run.engine, config.run.workers) == ("software", 2)
        signed = pregen("run", folder / "pregen.toml", "--full", "--json").document
        assert signed["bytes_per_response"] > 256  # type: ignore[operator]


@pytest.mark.parametrize("algorithm", ["p384", "p521", "rsa3072", "rsa2048-pss", "ed25519"])
def test_every_algorithm_of_the_demo_is_verified_by_openssl(pregen: Program, folder: Path, algorithm: str) -> None:
    judge("openssl")
    ended = pregen("demo", "--dir", folder, "--rows", "50", "--workers", "1", "--algorithm", algorithm)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("openssl: Response verify OK") == 3
    (section,) = load_config(folder / "pregen.toml").issuer
    assert section.rsa_padding == ("pss" if algorithm.endswith("pss") else "pkcs1v15")


@pytest.mark.parametrize("algorithm", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_the_demo_says_where_openssl_does_not_know_the_algorithm(pregen: Program, folder: Path, algorithm: str) -> None:
    known = subprocess.run([judge("openssl"), "list", "-signature-algorithms"], capture_output=True, check=True).stdout
    ended = pregen("demo", "--dir", folder, "--rows", "50", "--workers", "1", "--algorithm", algorithm)

    assert (ended.code, ended.err) == (0, "")
    if algorithm.upper().encode() in known:
        assert ended.out.count("openssl: Response verify OK") == 3
    else:
        assert ended.out.count(f"(this openssl does not know {algorithm.upper()}: not verified by it)") == 3
        assert f"from another terminal, whose openssl knows {algorithm.upper()}:" in ended.out


@pytest.mark.parametrize(("cert_ids", "responses"), [("combined", 1), ("sha1", 1), ("sha256", 1), ("separate", 2)])
def test_the_demo_answers_the_hashes_that_are_wanted(
    pregen: Program, folder: Path, cert_ids: str, responses: int
) -> None:
    ended = pregen("demo", "--dir", folder, "--rows", "50", "--workers", "1", "--cert-ids", cert_ids)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("openssl: Response verify OK") == 3
    assert load_config(folder / "pregen.toml").issuer[0].cert_ids == cert_ids
    published = re.search(r"published commit 1: (\d+) responses for (\d+) certificates", ended.out)
    assert published is not None
    assert int(published[1]) == responses * int(published[2])
    assert ("openssl ocsp -url http://127.0.0.1:8080 -sha256" in ended.out) == (cert_ids == "sha256")


def test_the_demo_takes_every_algorithm_there_is() -> None:
    assert list(DEMO_ALGORITHMS.values()) == list(ALGORITHMS.values())


def test_the_demo_s_configuration_shows_every_field_there_is(pregen: Program, folder: Path) -> None:
    assert pregen("demo", "--dir", folder, "--rows", "3").code == 0

    text = (folder / "pregen.toml").read_text()
    raw = tomllib.loads(re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE))
    snapshot, (issuer,), publish = raw["snapshot"], raw["issuer"], raw["publish"]
    columns = snapshot["columns"]
    shown: dict[type[msgspec.Struct], list[dict[str, object]]] = {
        SnapshotConfig: [snapshot],
        AnchorConfig: snapshot["anchor"],
        ColumnConfig: [column for column in columns.values() if isinstance(column, dict)],
        IssuerConfig: [issuer],
        IssuerValidityConfig: [issuer["validity"]],
        ValidityConfig: [raw["validity"]],
        RefreshConfig: [raw["refresh"]],
        GatesConfig: [raw["gates"]],
        RunConfig: [raw["run"]],
        PublishConfig: [publish],
        KeepConfig: [publish["keep"]],
        S3Config: [publish["s3"]],
    }
    for section, tables in shown.items():
        assert {name for table in tables for name in table} == {
            field.name for field in msgspec.structs.fields(section)
        }, section
    assert set(columns) == set(COLUMNS)


def test_the_demo_s_certificates_are_realistic(pregen: Program, folder: Path) -> None:
    assert pregen("demo", "--dir", folder, "--rows", "3000").code == 0

    table = pq.read_table(folder / "snapshot.parquet")
    assert table.num_rows == 3_000
    assert {len(serial.as_py()) for serial in table["serial"]} == {16, 17, 18, 19, 20}
    status = table["status"].to_pylist()
    assert 20 < status.count(1) < 120
    assert status.count(2) >= 1
    assert len({reason for reason in table["reason"].to_pylist() if reason}) > 1
    assert pregen("run", folder / "pregen.toml", "--json").document["excluded"]["expired"] > 0  # type: ignore[index]


def test_without_openssl_the_demo_says_so(pregen: Program, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    ended = pregen("demo", "--dir", folder, "--rows", "3", "--workers", "1")

    assert ended.code == 0
    assert ended.out.count("openssl is not installed") == 3


def test_the_two_commands_that_the_demo_prints_work(
    pregen: Program, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).with_name("pregen"))])
    out = pregen("demo", "--dir", folder, "--rows", "100", "--workers", "1").out
    serve, ask = (shlex.split(line) for line in out.splitlines()[-2:])
    assert serve[0] == sys.argv[0]
    assert ask[0] == "openssl"

    with start(tmp_path, *serve, "--port", "PORT") as edge:
        command = [judge("openssl"), *ask[1:]]
        command[command.index("http://127.0.0.1:8080")] = f"http://127.0.0.1:{edge.port}"
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert "Response verify OK" in ended.stdout + ended.stderr
    assert ": revoked" in ended.stdout


def test_a_folder_that_holds_something_is_left_alone(pregen: Program, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")

    for folder in (tmp_path, tmp_path / "precious"):
        ended = pregen("demo", "--dir", folder)
        assert ended.code == 2
        assert f"{folder} holds something already: remove it, or choose another folder by --dir" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    "words",
    [
        ("--rows", "2"),
        ("--algorithm", "dsa"),
        ("--workers", "-1"),
        ("--engine", "abacus"),
    ],
    ids=" ".join,
)
def test_options_that_cannot_be_are_refused_before_anything_is_made(
    pregen: Program, folder: Path, words: tuple[str, ...]
) -> None:
    ended = pregen("demo", "--dir", folder, *words)

    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert not folder.exists()


def test_an_empty_folder_is_taken(pregen: Program, tmp_path: Path) -> None:
    assert pregen("demo", "--dir", tmp_path, "--rows", "3", "--workers", "1").code == 0


def test_a_port_that_is_taken_is_said_by_serve(pregen: Program, folder: Path) -> None:
    pregen("demo", "--dir", folder, "--rows", "3", "--workers", "1")
    with socket.create_server(free_address("127.0.0.1", 0)) as taken:
        ended = pregen("serve", folder / "store", "--port", taken.getsockname()[1])

    assert ended.code == 2
    assert "cannot listen at 127.0.0.1" in ended.err
