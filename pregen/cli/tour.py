"""The demo, step by step; each step prints what it did."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from string import Template

from pregen import clock
from pregen.cli.output import write
from pregen.cli.report import Report
from pregen.cli.reports import check_report, cpu_seconds, run_report
from pregen.config import CertIds, load_config
from pregen.demo import make_authority, write_snapshot
from pregen.errors import NotFoundError, UsageError, VerificationError
from pregen.generation import RunOptions, check, run
from pregen.lookup import look_up
from pregen.progress import Progress
from pregen.signers import ALGORITHMS, AUTO, Algorithm, engine_named
from pregen.snapshot import RowStatus
from storage.stores import LocalStore

_CONFIGURATION = Template("""\
# Configuration of pregen, made by `pregen demo`. Paths are relative to this file.

[snapshot]
path = "snapshot.parquet"        # file, glob or folder; all files matched are ONE snapshot
keep_expired = "0d"              # how long after not_after answers are still made; "all": for ever
# as_of = 2026-11-24T00:00:00Z   # when the export began; else the files' metadata key "pregen.as_of", as here;
                                 # --as-of wins over both
# as_of_file = "as_of.txt"       # for CSV, which has no metadata: a file beside the snapshot that holds it

# kind = "files"                 # tables, as here; "index-txt": databases of `openssl ca`; "crl": tables of what was
# crls = ["r1.crl"]              # issued, and the revocations of these CRLs, base and delta
# partitioning = "hive"          # subfolders are columns, such as issuer=demo-r1; or "directory", with
# partition_columns = ["issuer"] # their names, the outermost first
# s3 = { region = "us-east-1" }  # where path is s3://bucket/prefix

# [snapshot.columns]             # only for columns that have other names or codes than pregen's own, such as
# serial = { name = "serial_hex", encoding = "hex" }    # binary (as in DER) | unsigned-binary | hex | decimal
# status = { name = "STATE", values = { good = ["20"], revoked = ["40"], excluded = ["60"] } }
# reason = { name = "REASON", values = { absent = ["-1"], superseded = ["S"] } }
# issuer = "CA"
# issuer_key = "AKI"             # what tells the keys of one CA apart: rows are called "CA/AKI" then
# revoked_at = { name = "REVOKED", zone = "America/Denver", ambiguous = "latest", nonexistent = "shift-forward" }
# not_before = { name = "VALID_FROM", encoding = "epoch-ms", absent = ["-1", "0"] }    # absent: what stands for none
# not_after = { name = "VALID_TO", encoding = "date", time_of_day = "23:59:59", zone = "UTC" }
                                 # encodings of times: timestamp, iso8601 (both need no saying), date, epoch-s, -ms,
                                 # -us, -ns, asn1, utctime, generalizedtime
# kind = "TYPE"                  # ca | end-entity | precertificate
# needs_ocsp = "HAS_OCSP_URL"    # true | false: such certificates get no response

# [[snapshot.anchor]]            # what a wrong zone is found by: any issued certificate of the snapshot, or a CRL
# certificate = "some.pem"       # needed once for columns whose zone is declared; proves not_before and not_after
# [[snapshot.anchor]]
# crl = "r1.crl"                 # proves revoked_at; and what it lists must not be good

[[issuer]]
name = "demo-r1"                 # value of the column "issuer"; a list where it has several
certificate = "issuer.pem"       # a list for cross-certificates, and for a name in several encodings
# also = "r1-2019"               # answer the rows of that issuer under this key of the same CA too
responder_certificate = "ocsp.pem"     # without it the issuer signs itself, with its own key
key = "ocsp.key"                 # PEM or DER, PKCS#8
# key_passphrase_env = "OCSP_KEY_PASS" # the environment variable that holds the key's passphrase
rsa_padding = "$padding"         # of an RSA key: PKCS#1 v1.5; or "pss": with SHA-256 and a salt of 32 octets
responder_id = "by-key"          # or "by-name"
cert_ids = $cert_ids            # separate: one response for SHA-1 CertIDs and one for SHA-256; combined: one for
                                 # both (RFC 9919), which halves the signing, but HAProxy, Caddy and others
                                 # refuse it, and then staple nothing (docs/clients.md); or sha1, sha256

# on_trouble = "leave-behind"    # where its certificate has ended or its key cannot be opened, publish the others
# empty = true                   # it has issued nothing yet; else a snapshot without a row of it is refused
# what differs from [validity] for this issuer; any of these may be left out:
# validity = { profile = "cabf-tls", lifetime = "12h", backdate = "1h", end_with_certificate = true }

[validity]
profile = "strict"               # 16 h to 7 d: within all the public ones of docs/profiles.md; "lab": any, for tests
lifetime = "4d"                  # an integer and s, m, h or d
backdate = "0s"                  # how much before as_of an answer begins; it consumes the lifetime
# end_with_certificate = true    # no answer is valid for longer than its certificate: docs/profiles.md says the cost

[refresh]
every = "1d"                     # how often runs take place: what would not last until the next one is signed again
missed_runs = 1                  # how many may fail before any answer runs out
spread = true                    # each night signs its share of what is going to be due

# [gates]                        # what is not published without --accept GATE --reason TEXT; these are the defaults
# skew = "5m"                    # how far times may lie ahead of as_of
# shrink = { share = 0.001, count = 100 }              # certificates that vanished: more than either
# growth = { share = 1.0, count = 10000 }              # more certificates than before: more than both
# issuer_missing = 0             # issuers without certificates, which had some
# unrevoke = 0                   # holds that end at once; nothing covers what was revoked for good
# mass_revocation = { share = 0.01, count = 100 }      # newly revoked: a warning for more than both
# stale_snapshot = "1d"          # greatest age of as_of
# duplicate = { share = 0.01, count = 100 }            # rows that repeat another one: more than both
# rows_invalid = 0               # rows that cannot be read

[run]
workers = $workers                      # 0: one for each CPU
engine = "$engine"                  # the fastest that works; or one that `pregen engines` shows
spool = "/var/tmp"               # for spill files; 48 octets a row must be free; removed at the end

[publish]
store = "store"                  # or file:///var/lib/pregen, or s3://bucket/prefix
keep = { generations = 7, days = 14 }      # older ones go at the end of a run; on S3 that needs s3:DeleteObject
# s3 = { region = "us-east-1", endpoint = "http://127.0.0.1:8333" }   # what is not in the AWS_* variables
""")
# Their digest goes without saying: each kind of key has but one.
DEMO_ALGORITHMS = {name.partition("-sha")[0]: algorithm for name, algorithm in ALGORITHMS.items()}
ABSENT = bytes.fromhex("0badc0de")
WANTED: Mapping[int, str] = {status: status.name.lower() for status in RowStatus}


def run_demo(
    folder: Path,
    rows: int,
    algorithm: str,
    cert_ids: CertIds,
    engine: str | None,
    workers: int | None,
    progress: Callable[[], AbstractContextManager[Progress]],
) -> None:
    """Make a CA, sign and publish its responses, look some up, verify them, and say how to go on.

    Args:
        folder: to be made; may be there, but empty.
        rows: number of certificates, 3 at least.
        algorithm: that the responder signs with, such as ``p256`` or ``rsa2048-pss`` (`DEMO_ALGORITHMS`).
        cert_ids: which CertID hashes get answers.
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
    signed_by = DEMO_ALGORITHMS[algorithm]
    engine_named(engine or AUTO, signed_by)  # refuses before anything is made
    new_folder(folder)
    now = clock.now()
    make_authority(folder, signed_by.key, now)
    serials = write_snapshot(folder / "snapshot.parquet", rows, now)
    path = folder / "pregen.toml"
    padding = signed_by.padding or "pkcs1v15"
    choices = {
        "workers": workers or 0,
        "engine": engine or AUTO,
        "padding": padding,
        "cert_ids": f'"{cert_ids}"'.ljust(10),
    }
    path.write_text(_CONFIGURATION.substitute(choices))
    say(f"made {folder}: a root, an issuer, a responder, {rows:,} certificates in snapshot.parquet, and pregen.toml")

    config = load_config(path)
    with progress() as show:
        checked = check(config, RunOptions(), show)
    show_report(f"$ pregen check {path}", check_report(checked))
    started, cpu_before = time.perf_counter(), cpu_seconds()
    with progress() as show:
        published = run(config, RunOptions(), show)
    show_report(f"$ pregen run {path}", run_report(published, time.perf_counter() - started, cpu_before))
    hash_name = "sha256" if cert_ids == "sha256" else "sha1"
    judge = _OpensslJudge(folder / "issuer.pem", signed_by, hash_name)
    say("\nlooked up as an edge does:", *_look_up_some(folder, serials, now, judge))
    say(*_next_steps(folder, serials[RowStatus.REVOKED], judge))


def new_folder(folder: Path) -> None:
    """Make the folder of a demo; it may be there, but empty.

    Raises:
        UsageError: it holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something already: remove it, or choose another folder by --dir")
    folder.mkdir(parents=True, exist_ok=True)


def show_report(command: str, report: Report) -> None:
    """Print a command that worked, with its warnings and its lines."""
    say(f"\n{command}", *map(str, report.findings), *report.lines)


def say(*lines: str) -> None:
    """Print lines at once, whoever reads them."""
    write("".join(f"{line}\n" for line in lines))


class _OpensslJudge:
    """The openssl of this machine, if it is there and knows the algorithm."""

    def __init__(self, issuer: Path, algorithm: Algorithm, hash_name: str) -> None:
        self.hash_name = hash_name
        self.program = shutil.which("openssl")
        # Only ML-DSA is younger than the versions in use: OpenSSL has it since 3.5.
        self.lacks = (
            algorithm.name.upper() if algorithm.key.startswith("ml-dsa") and not self._lists(algorithm) else None
        )
        self.arguments = [*(["-sha256"] if hash_name == "sha256" else []), "-issuer", str(issuer)]
        self.trust = ["-CAfile", str(issuer), "-partial_chain", "-no_nonce"]

    def verify(self, response: Path, number: str) -> str:
        """Have a response verified; return what is said of it, or that it was not verified.

        Raises:
            VerificationError: it is refused.
        """
        if self.program is None:
            return "(openssl is not installed: not verified by it)"
        if self.lacks:
            return f"(this openssl does not know {self.lacks}: not verified by it)"
        said = self._said("ocsp", "-respin", str(response), *self.arguments, "-serial", f"0x{number}", *self.trust)
        if "Response verify OK" not in said or f": {response.stem}" not in said:
            raise VerificationError(f"openssl does not accept {response}: {said.strip()}")
        return "openssl: Response verify OK"

    def _lists(self, algorithm: Algorithm) -> bool:
        return (
            self.program is not None and algorithm.name.upper() in self._said("list", "-signature-algorithms").upper()
        )

    def _said(self, *words: str) -> str:
        command = [self.program or "", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own words
        return done.stdout + done.stderr


def _look_up_some(folder: Path, serials: dict[int, bytes], now: datetime, judge: _OpensslJudge) -> list[str]:
    """Look up one certificate of each status and one that does not exist."""
    lines, issuer = [], folder / "issuer.pem"
    for status, serial in serials.items():
        number = f"{int.from_bytes(serial, 'big'):x}"
        store = LocalStore(folder / "store")
        answer = look_up(store, issuer, cert=None, serial=number, hash_name=judge.hash_name).answer
        if answer.status != WANTED[status] or not answer.this_update <= clock.seconds(now) <= answer.next_update:
            raise VerificationError(f"serial {number} is {answer.status} where {WANTED[status]} belongs")
        out = folder / f"{answer.status}.der"
        out.write_bytes(answer.der)
        lines.append(f"  {number:<40}  {answer.status:<8} {len(answer.der)} octets  {judge.verify(out, number)}")
    absent = ABSENT.hex()
    try:
        look_up(LocalStore(folder / "store"), issuer, cert=None, serial=absent, hash_name=judge.hash_name)
    except NotFoundError:
        lines.append(f"  {absent:<40}  absent   an edge answers unauthorized")
    else:
        raise VerificationError(f"serial {absent} was never issued, and yet has a response")
    return lines


def _next_steps(folder: Path, serial: bytes, judge: _OpensslJudge) -> list[str]:
    number = f"{int.from_bytes(serial, 'big'):x}"
    program = Path(sys.argv[0])
    pregen = shlex.quote(str(program)) if program.name == "pregen" else "pregen"
    ask = ["openssl", "ocsp", "-url", "http://127.0.0.1:8080", *judge.arguments, "-serial", f"0x{number}", *judge.trust]
    needs = f", whose openssl knows {judge.lacks}" if judge.lacks else ""
    return [
        f"\nNow serve it, and ask it from another terminal{needs}:",
        f"  {pregen} serve {shlex.quote(str(folder / 'store'))}",
        f"  {shlex.join(ask)}",
    ]
