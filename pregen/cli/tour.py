"""The demo, step by step; each step prints what it did."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from string import Template

from pregen import clock
from pregen.cli.reports import check_report, run_report
from pregen.config import load_config
from pregen.demo.authority import ALGORITHMS, make_authority
from pregen.demo.certificates import write_snapshot
from pregen.errors import NotFoundError, UsageError, VerificationError
from pregen.generation import Progress, RunOptions, check, run
from pregen.lookup import look_up
from pregen.signers import AUTO, engine_named
from pregen.snapshot import GOOD, REVOKED, UNKNOWN
from storage.stores import open_store

CONFIGURATION = Template("""\
# Configuration of pregen, made by `pregen demo`. Paths are relative to this file.

[snapshot]
path = "snapshot.parquet"        # file, glob or folder; all files matched are ONE snapshot
keep_expired = "0d"              # how long after not_after answers are still made; "all": for ever
# as_of = 2026-11-24T00:00:00Z   # when the export began; else the files' metadata key "pregen.as_of", as here;
                                 # --as-of wins over both

# [snapshot.columns]             # only for columns that have other names or codes than pregen's own, such as
# serial = { name = "serial_hex", encoding = "hex" }    # binary (as in DER) | unsigned-binary | hex | decimal
# status = { name = "STATE", values = { good = ["20"], revoked = ["40"], excluded = ["60"] } }
# reason = { name = "REASON", values = { absent = ["-1"], superseded = ["S"] } }
# issuer = "CA"                  # as are revoked_at and not_after

[[issuer]]
name = "demo-r1"                 # value of the column "issuer"; a list where it has several
certificate = "issuer.pem"       # a list for cross-certificates
responder_certificate = "ocsp.pem"     # without it the issuer signs itself, with its own key
key = "ocsp.key"                 # PEM or DER, PKCS#8
# key_passphrase_env = "OCSP_KEY_PASS" # the environment variable that holds the key's passphrase
responder_id = "by-key"          # or "by-name"
cert_ids = "separate"            # one response for SHA-1 CertIDs and one for SHA-256; or "sha1", "sha256"

[validity]
profile = "strict"               # 16 hours to 7 days; or "lab": any
lifetime = "4d"                  # an integer and s, m, h or d
backdate = "0s"                  # how much before as_of an answer begins; it consumes the lifetime

[run]
workers = $workers                      # 0: one for each CPU
engine = "$engine"                  # the fastest that works; or one that `pregen engines` shows
spool = "/var/tmp"               # for spill files; 72 octets a row must be free; removed at the end

[publish]
store = "store"                  # or file:///var/lib/pregen, or s3://bucket/prefix
# s3 = { region = "us-east-1", endpoint = "http://127.0.0.1:8333" }   # what is not in the AWS_* variables
""")
ABSENT = bytes.fromhex("0badc0de")
WANTED = {GOOD: "good", REVOKED: "revoked", UNKNOWN: "unknown"}


def run_demo(
    folder: Path,
    rows: int,
    algorithm: str,
    engine: str | None,
    workers: int | None,
    progress: Callable[[], AbstractContextManager[Progress]],
) -> None:
    """Make a CA, sign and publish its responses, look some up, verify them, and say how to go on.

    Args:
        folder: to be made; may be there, but empty.
        rows: number of certificates, 3 at least.
        algorithm: ``p256`` or ``rsa2048``.
        engine: name of a signing engine; None takes the fastest.
        workers: number of worker processes; None or 0 takes the CPUs.
        progress: told how far reading and signing are; open only while nothing else is printed, since a bar on the
            terminal would take our lines for its own.

    Raises:
        UsageError: the folder is not empty, or there are too few rows.
        ConfigError: the engine does not work here.
        PregenError, StorageError, OSError: as `pregen run`.
    """
    if rows < 3:
        raise UsageError(f"--rows {rows}: 3 at least, one of each status")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something already: remove it, or choose another folder by --dir")
    engine_named(engine or AUTO, ALGORITHMS[algorithm])  # refuses before anything is made
    folder.mkdir(parents=True, exist_ok=True)
    now = clock.now()
    make_authority(folder, algorithm, now)
    serials = write_snapshot(folder / "snapshot.parquet", rows, now)
    path = folder / "pregen.toml"
    path.write_text(CONFIGURATION.substitute(workers=workers or 0, engine=engine or "auto"))
    _say(f"made {folder}: a root, an issuer, a responder, {rows:,} certificates in snapshot.parquet, and pregen.toml")

    config = load_config(path)
    with progress() as show:
        checked = check(config, RunOptions(), show)
    _say(f"\n$ pregen check {path}", *check_report(checked).lines)
    started = time.perf_counter()
    with progress() as show:
        published = run(config, RunOptions(), show)
    _say(f"\n$ pregen run {path}", *run_report(published, time.perf_counter() - started).lines)
    _say("\nlooked up as an edge does:", *_look_up_some(folder, serials, now))
    _say(*_next_steps(folder, serials[REVOKED]))


def _look_up_some(folder: Path, serials: dict[int, bytes], now: datetime) -> list[str]:
    """Look up one certificate of each status and one that does not exist."""
    lines = []
    for status, serial in serials.items():
        number = f"{int.from_bytes(serial, 'big'):x}"
        store = open_store(str(folder / "store"))
        answer = look_up(store, folder / "issuer.pem", cert=None, serial=number, hash_name="sha1").answer
        if answer.status != WANTED[status] or not answer.this_update <= clock.seconds(now) <= answer.next_update:
            raise VerificationError(f"serial {number} is {answer.status} where {WANTED[status]} belongs")
        out = folder / f"{answer.status}.der"
        out.write_bytes(answer.der)
        lines.append(f"  {number:<40}  {answer.status:<8} {len(answer.der)} octets  {_openssl(folder, out, number)}")
    absent = ABSENT.hex()
    try:
        look_up(open_store(str(folder / "store")), folder / "issuer.pem", cert=None, serial=absent, hash_name="sha1")
    except NotFoundError:
        lines.append(f"  {absent:<40}  absent   an edge answers unauthorized")
    else:
        raise VerificationError(f"serial {absent} was never issued, and yet has a response")
    return lines


def _openssl(folder: Path, response: Path, number: str) -> str:
    """Have OpenSSL verify a response; return what it says, or that it is not there."""
    program = shutil.which("openssl")
    if program is None:
        return "(openssl is not installed: not verified by it)"
    issuer = str(folder / "issuer.pem")
    command = [program, "ocsp", "-respin", str(response), "-issuer", issuer, "-serial", f"0x{number}"]
    command += ["-CAfile", issuer, "-partial_chain", "-no_nonce"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own words
    said = done.stdout + done.stderr
    if "Response verify OK" not in said or f": {response.stem}" not in said:
        raise VerificationError(f"openssl does not accept {response}: {said.strip()}")
    return "openssl: Response verify OK"


def _next_steps(folder: Path, serial: bytes) -> list[str]:
    number = f"{int.from_bytes(serial, 'big'):x}"
    program = Path(sys.argv[0])
    pregen = shlex.quote(str(program)) if program.name == "pregen" else "pregen"
    issuer, store = (shlex.quote(str(folder / name)) for name in ("issuer.pem", "store"))
    trust = f"-CAfile {issuer} -partial_chain -no_nonce"
    return [
        "\nNow serve it, and ask it from another terminal:",
        f"  {pregen} serve {store}",
        f"  openssl ocsp -url http://127.0.0.1:8080 -issuer {issuer} -serial 0x{number} {trust}",
    ]


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
