"""The commands and their options."""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from pregen import __version__, clock
from pregen.audit import Trust, verify_store
from pregen.cli.incident import run_incident
from pregen.cli.progress import progress
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import Report
from pregen.cli.reports import (
    check_report,
    engines_report,
    import_report,
    inspect_report,
    lookup_report,
    run_report,
    verify_report,
)
from pregen.cli.tour import run_demo
from pregen.config import CertIds, load_config
from pregen.credentials import open_publish_store
from pregen.engines import survey_engines
from pregen.errors import UsageError
from pregen.gates.acceptance import read_acceptances, system_user
from pregen.generation import RunOptions, check, run
from pregen.importing import import_snapshot
from pregen.inspection import inspect_store
from pregen.lookup import look_up
from storage.stores import Store

app = App(
    name="pregen",
    help="Sign all OCSP responses ahead of time, in bulk, and publish them to object storage.",
    help_epilogue="""Every command takes --debug, which shows tracebacks.

Exit codes: 0 done; 1 internal error; 2 usage, configuration or key; 3 input or gate refused, nothing published;
4 not found; 5 storage (credentials, bucket, disk, damage); 6 signing, verification or a dead worker;
7 another publisher committed first, run again; 130/143 interrupted or terminated, nothing published.""",
    version=__version__,
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,  # pregen.cli.outcome reports it
)

ConfigPath = Annotated[Path, Parameter(help="Configuration file (TOML).")]
StoreAddress = Annotated[
    str | None, Parameter(help="A path, file:///... or s3://bucket/prefix; S3 settings come from the AWS_* variables.")
]
ConfigOption = Annotated[Path | None, Parameter(name="--config", help="Take the store of this configuration instead.")]
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object on stdout, on failure too.")]
Engine = Annotated[str | None, Parameter(help="auto, multibuffer, awslc or software; default: the configuration's.")]
DemoAlgorithm: TypeAlias = Literal[
    "p256",
    "p384",
    "p521",
    "rsa2048",
    "rsa3072",
    "rsa4096",
    "rsa2048-pss",
    "rsa3072-pss",
    "rsa4096-pss",
    "ed25519",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
]
Workers = Annotated[int | None, Parameter(help="Worker processes; 0: the CPUs that this process may use.")]


@Parameter(name="*")  # its fields are options of their own
@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoices:
    """The options of `run`, which `check` takes too."""

    snapshot: Annotated[str | None, Parameter(help="File, glob or folder; default: the configuration's.")] = None
    as_of: Annotated[
        str | None,
        Parameter(
            help="For which instant the snapshot is complete, such as 2026-11-24T00:00:00Z: when its export began. "
            "Default: the configuration's, else the files' metadata."
        ),
    ] = None
    now: Annotated[
        str | None, Parameter(help="Sign as if it were this instant; far from the clock: profile lab only.")
    ] = None
    drop_issuer: Annotated[
        tuple[str, ...],
        Parameter(
            help="Stop answering for this issuer of the current commit, which the configuration lacks; "
            "may be repeated.",
            show_default=False,
        ),
    ] = ()
    engine: Engine = None
    workers: Workers = None
    accept: Annotated[
        tuple[str, ...],
        Parameter(
            help="Publish in spite of this gate, or of findings with this code; may be repeated. It is kept with the "
            "commit, with its reason and who said so.",
            show_default=False,
        ),
    ] = ()
    reason: Annotated[
        tuple[str, ...],
        Parameter(help="Why --accept is right: one for all, or one for each in their order.", show_default=False),
    ] = ()

    def read(self) -> RunOptions:
        """Return the options with their texts read.

        Raises:
            UsageError: one is not what it should be.
        """
        return RunOptions(
            snapshot=self.snapshot,
            as_of=_instant("--as-of", self.as_of),
            now=_instant("--now", self.now),
            drop_issuers=self.drop_issuer,
            engine=self.engine,
            workers=_count("--workers", self.workers),
            accept=read_acceptances(self.accept, self.reason, system_user()),
        )


DEFAULTS = RunChoices()


@app.command(name="run")
def _run(config: ConfigPath, /, *, choices: RunChoices = DEFAULTS, json: Json = False) -> Report:
    """Sign a snapshot and publish it as the new generation, or change nothing."""
    del json  # read by pregen.cli.outcome, which prints
    started = time.perf_counter()
    options = choices.read()
    remarks = clock_remarks(options.now)
    with remarked(remarks), progress() as show:
        published = run(load_config(config), options, show)
    return run_report(published, time.perf_counter() - started).after(remarks)


@app.command(name="check")
def _check(config: ConfigPath, /, *, choices: RunChoices = DEFAULTS, json: Json = False) -> Report:
    """Do all of a run that can refuse it, with its options: configuration, keys, snapshot, store; publish nothing."""
    del json
    options = choices.read()
    remarks = clock_remarks(options.now)
    with remarked(remarks), progress() as show:
        return check_report(check(load_config(config), options, show)).after(remarks)


@app.command(name="lookup")
def _lookup(
    store: StoreAddress = None,
    /,
    *,
    issuer: Annotated[Path, Parameter(help="The issuer's certificate (PEM or DER).")],
    cert: Annotated[Path | None, Parameter(help="The certificate to look up (PEM or DER).")] = None,
    serial: Annotated[str | None, Parameter(help="Its serial number in hex, with a sign where negative.")] = None,
    hash: Annotated[Literal["sha1", "sha256"], Parameter(help="Hash of the CertID.")] = "sha1",  # noqa: A002 - the option's name
    out: Annotated[Path | None, Parameter(help="Write the DER of the response to this file.")] = None,
    config: ConfigOption = None,
    json: Json = False,
) -> Report:
    """Look up the response for one certificate, as an edge does."""
    del json
    if (cert is None) == (serial is None):
        raise UsageError("say either --cert FILE or --serial HEX")
    found = look_up(_store(store, config), issuer, cert=cert, serial=serial, hash_name=hash)
    if out is not None:
        try:
            out.write_bytes(found.answer.der)
        except OSError as e:
            raise UsageError(f"--out {out}: cannot be written ({e.strerror}): name a file in a folder that can") from e
    return lookup_report(found, out)


@app.command(name="serve")
def _serve(
    store: StoreAddress = None,
    /,
    *,
    host: Annotated[str, Parameter(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen at; 0 takes a free one.")] = 8080,
    workers: Annotated[int, Parameter(help="Worker processes.")] = 1,
    max_age_cap: Annotated[str, Parameter(help="How long caches may keep an answer at most: 3600, 90m, 6h.")] = "1d",
    config: ConfigOption = None,
) -> int:
    """Answer OCSP requests over HTTP; the same as python -m storage.edge STORE, which needs no signing code."""
    from storage.edge.launch import max_age_cap_in, serve  # noqa: PLC0415 - an optional part of the installation

    try:
        max_age_cap_s = max_age_cap_in(max_age_cap)
    except ValueError as e:
        raise UsageError(f"--max-age-cap: {e}") from None

    endpoint = region = None
    if config is not None:
        publish = load_config(config).publish
        endpoint, region = publish.s3.endpoint, publish.s3.region
    return serve(
        _address(store, config),
        host=host,
        port=port,
        workers=workers,
        endpoint=endpoint,
        region=region,
        max_age_cap_s=max_age_cap_s,
        opener=open_publish_store,
    )


@app.command(name="inspect")
def _inspect(store: StoreAddress = None, /, *, config: ConfigOption = None, json: Json = False) -> Report:
    """Show what is published: commits, shards, counts, windows, stored octets."""
    del json
    return inspect_report(inspect_store(_store(store, config)))


@app.command(name="verify")
def _verify(
    store: StoreAddress = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(help="Trust its issuers, and without STORE take its store.")] = None,
    issuer: Annotated[
        tuple[Path, ...], Parameter(help="Trust this issuer certificate; may be repeated.", show_default=False)
    ] = (),
    sample: Annotated[int, Parameter(help="Verify the responses of about this many certificates, all packs.")] = 1000,
    all: Annotated[bool, Parameter(help="Verify every response.")] = False,  # noqa: A002 - the option's name
    json: Json = False,
) -> Report:
    """Read the current generation again: all checksums, then parse responses and verify their signatures."""
    del json
    trust = Trust.of_files(issuer) if issuer else Trust.of_config(load_config(config)) if config else None
    opened = _store(store, None if store else config)
    with progress() as show:
        return verify_report(verify_store(opened, trust, None if all else _count("--sample", sample), show))


@app.command(name="engines")
def _engines(
    *,
    measure: Annotated[bool, Parameter(help="Also measure signatures a second: about 20 seconds in all.")] = False,
    json: Json = False,
) -> Report:
    """Show which signing engines work here, and why the others do not."""
    del json
    return engines_report(survey_engines(measure=measure))


@app.command(name="demo")
def _demo(
    *,
    dir: Annotated[Path, Parameter(help="Folder to make; must not hold anything yet.")] = Path("demo"),  # noqa: A002 - the option's name
    rows: Annotated[int, Parameter(help="Number of certificates.")] = 100_000,
    algorithm: Annotated[
        DemoAlgorithm, Parameter(help="What the responder signs with; its issuer has P-256.")
    ] = "p256",
    cert_ids: Annotated[
        CertIds, Parameter(help="CertID hashes with answers; combined: both under one signature (RFC 9919).")
    ] = "separate",
    engine: Annotated[str, Parameter(help="auto, multibuffer, awslc or software.")] = "auto",
    workers: Workers = None,
    incident: Annotated[
        bool,
        Parameter(
            help="Act out an incident instead: a zone mistake between two databases; --rows are issued before it."
        ),
    ] = False,
) -> int:
    """Make a CA with many certificates, sign and publish its responses, look some up, and say how to serve them."""
    tell = run_incident if incident else run_demo
    tell(dir, rows, algorithm, cert_ids, engine, _count("--workers", workers), progress)
    return 0


@app.command(name="import")
def _import(
    config: ConfigPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder to make; must not hold anything yet.")],
    snapshot: Annotated[str | None, Parameter(help="File, glob or folder; default: the configuration's.")] = None,
    as_of: Annotated[
        str | None, Parameter(help="For which instant the snapshot is complete; default as for pregen run.")
    ] = None,
    now: Annotated[
        str | None, Parameter(help="Read as if it were this instant; far from the clock: profile lab only.")
    ] = None,
    json: Json = False,
) -> Report:
    """Write a snapshot of any kind as canonical Parquet, for a run without [snapshot.columns]; needs no keys.

    Any kind: tables and index.txt, revocations from CRLs (kind "crl"), and partitioned folders of them.
    """
    del json
    instant, started = _instant("--as-of", as_of), _instant("--now", now) or clock.now()
    remarks = clock_remarks(started)
    with remarked(remarks), progress() as show:
        imported = import_snapshot(
            load_config(config), out, snapshot=snapshot, as_of=instant, now=started, progress=show
        )
    return import_report(imported).after(remarks)


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return clock.parse_instant(text)
    except ValueError as e:
        raise UsageError(f"{option}: {e}; write it as 2026-11-24T00:00:00Z") from None


def _count(option: str, value: int | None) -> int | None:
    if value is not None and value < 0:
        raise UsageError(f"{option} {value}: a number from 0 on belongs there")
    return value


def _address(store: str | None, config: Path | None) -> str:
    if store is not None and config is None:
        return store
    if config is not None and store is None:
        return load_config(config).store
    raise UsageError("say which store: its address, or --config CONFIG")


def _store(store: str | None, config: Path | None) -> Store:
    address = _address(store, config)
    s3 = load_config(config).publish.s3 if config else None
    try:
        return open_publish_store(address, s3.endpoint if s3 else None, s3.region if s3 else None)
    except ValueError as e:
        raise UsageError(str(e)) from None
