"""The incident, told step by step: a zone mistake between two databases, and what stops it.

Every step prints what an operator would type, what comes out, and a line or two of the story. All that is claimed is
checked; whatever happens otherwise ends the story with a `VerificationError`.
"""

import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pregen import clock
from pregen.cli.lookup_report import lookup_report
from pregen.cli.reports import check_report, cpu_seconds, run_report
from pregen.cli.tour import DEMO_ALGORITHMS, new_folder, say, show_report
from pregen.config import CertIds, load_config
from pregen.demo.authority import make_authority
from pregen.errors import Finding, GateError, NotFoundError, PregenError, UsageError, VerificationError
from pregen.gates.detector.offsets import offset_text
from pregen.generation import RunOptions, check, run
from pregen.lookup import look_up
from storage.commits import find_head
from storage.stores import LocalStore
from tests.incident import acts
from tests.incident.acts import LOST, REVOKED_MEANWHILE, Silence, Timeline
from tests.incident.asking import answers
from tests.incident.databases import API, RESPONDER, open_databases

HASHES: dict[CertIds, tuple[str, ...]] = {"sha1": ("sha1",), "sha256": ("sha256",)}
BOTH = ("sha1", "sha256")
HASH_TITLES = {"sha1": "CertIDs by SHA-1", "sha256": "CertIDs by SHA-256"}
ISSUED, REVOKED = f"{LOST:,} issued since the deployment", f"{REVOKED_MEANWHILE} revoked since then"
EXAMPLES = 2  # of each finding; the program itself shows up to 20
COMMANDS = {"check": check, "run": run}
# What a zone mistake makes of notAfter, which the last generation has too.
_EXPIRIES = frozenset({"shrink.expiry", "revocation.shortened"})


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the story happens, and when."""

    folder: Path
    times: Timeline
    hash_names: tuple[str, ...]

    @property
    def offset(self) -> str:
        """The offset of the API's zone, such as -07:00."""
        return offset_text(self.times.offset_s)

    @property
    def issuer(self) -> Path:
        """The issuer's certificate."""
        return self.folder / "issuer.pem"

    @property
    def store(self) -> Path:
        """What the edges read."""
        return self.folder / "store"

    def publish(self, name: str, commit: int) -> None:
        """Show a run that must work, and make that commit."""
        path = self.folder / f"{name}.toml"
        started, cpu_before = time.perf_counter(), cpu_seconds()
        try:
            published = run(load_config(path), RunOptions(), lambda *_: None)
        except GateError as error:
            raise VerificationError(f"{path} is refused: {error.message}", error.findings) from error
        show_report(_command("run", path), run_report(published, time.perf_counter() - started, cpu_before))
        expect(published.commit == commit, f"commit {published.commit} where {commit} belongs")

    def pass_check(self, name: str) -> None:
        """Show a check that must find nothing wrong."""
        path = self.folder / f"{name}.toml"
        try:
            checked = check(load_config(path), RunOptions(), lambda *_: None)
        except GateError as error:
            raise VerificationError(f"{path} is refused: {error.message}", error.findings) from error
        show_report(_command("check", path), check_report(checked))

    def refuse(self, command: str, name: str) -> tuple[Finding, ...]:
        """Show a command that must be refused because of its times; return the errors."""
        path = self.folder / f"{name}.toml"
        try:
            COMMANDS[command](load_config(path), RunOptions(), lambda *_: None)
        except GateError as error:
            _show_error(_command(command, path), error)
            errors = tuple(finding for finding in error.findings if finding.severity == "error")
            expect(
                all(one.code.startswith("time.") or one.code in _EXPIRIES for one in errors), "more is wrong with it"
            )
            expect(self.generation() == 1, "something was published")
            return errors
        raise VerificationError(f"{path} is not refused, although its times or its rows are wrong")

    def look_up_anchor(self, *, is_known: bool) -> None:
        """Show the answer for the newest certificate, or that there is none."""
        hash_name, certificate = self.hash_names[0], self.folder / "anchor.pem"
        words = [str(self.store), "--issuer", str(self.issuer), "--cert", str(certificate)]
        words += ["--hash", hash_name] if hash_name != "sha1" else []
        command = f"$ pregen lookup {shlex.join(words)}"
        try:
            store = LocalStore(self.store)
            found = look_up(store, self.issuer, cert=certificate, serial=None, hash_name=hash_name)
        except NotFoundError as error:
            _show_error(command, error)
            expect(not is_known, "the newest certificate has no answer")
        else:
            show_report(command, lookup_report(found, None))
            expect(is_known and found.answer.status == "good", f"the newest certificate is {found.answer.status}")

    def ask(self, serials: tuple[str, ...], wanted: str, which: str) -> None:
        """Ask an edge about certificates, each by every hash, and say how it answers."""
        now = clock.seconds(clock.now())
        say("")
        for hash_name, counts in answers(self.store, self.issuer, serials, self.hash_names, now).items():
            said = ", ".join(f"{answer} {count:,}" for answer, count in sorted(counts.items()))
            say(f"an edge, asked about the {which} ({HASH_TITLES[hash_name]}): {said}")
            expect(counts == {wanted: len(serials)}, f"{wanted} {len(serials):,} belongs there")

    def generation(self) -> int | None:
        """Return the number of the current commit."""
        head = find_head(LocalStore(self.store))
        return head.commit.number if head else None


def tell(folder: Path, rows: int, algorithm: str, cert_ids: CertIds, workers: int) -> None:
    """Act out the incident, at the level of data: what was lost, what is refused, and how it is put right.

    The arguments are those of `pregen.cli.tour.run_demo`; `rows` are the certificates before the deployment.

    Raises:
        UsageError: the folder is not empty, or there are too few rows.
        VerificationError: something happens otherwise than told.
        PregenError, StorageError, OSError: as `pregen run`.
    """
    if rows < acts.MIN_ROWS:
        raise UsageError(f"--rows {rows}: {acts.MIN_ROWS:,} at least, else hours without issuance are usual")
    signed_by = DEMO_ALGORITHMS[algorithm]
    new_folder(folder)
    now = clock.now()
    key, times = make_authority(folder, signed_by.key, now), acts.timeline(now)
    choices = acts.Choices(padding=signed_by.padding or "pkcs1v15", cert_ids=cert_ids, workers=workers)
    acts.write_configurations(folder, times.zone, choices)
    scene, random = Scene(folder, times, HASHES.get(cert_ids, BOTH)), np.random.default_rng()
    with open_databases(folder, times.zone) as databases:
        acts.act_until_deployment(databases, times, rows, random)
        databases.export_responder(folder / "responder-before.parquet", times.deployed)
        _tell_how_it_was_right(scene, rows, *databases.serials())
        silence = acts.act_since_deployment(databases, times, random)
        acts.write_exports(folder, databases, times)
        acts.make_anchors(folder, key, silence.issued, databases, now)
        _tell_what_is_lost(scene, silence, *databases.serials())
    _tell_what_is_refused(scene)
    _tell_how_it_is_put_right(scene, silence)


def expect(is_so: bool, otherwise: str) -> None:
    """Make sure that the story is true.

    Raises:
        VerificationError: it is not.
    """
    if not is_so:
        raise VerificationError(f"the incident did not go as told: {otherwise}; please report this")


def _tell_how_it_was_right(scene: Scene, rows: int, api: frozenset[str], responder: frozenset[str]) -> None:
    times = scene.times
    expect(api == responder and len(api) == rows, "the two databases differ before the deployment")
    say(
        f"made {scene.folder}: a CA with two databases, and a configuration for each step",
        f"  {API:<17} what was issued; its times are those of {times.zone} ({scene.offset}), without saying so",
        f"  {RESPONDER:<17} what the responders read; its times are UTC",
        "",
        f"1. Until {clock.text(times.deployed)} the sync between them is right: both hold the same {rows:,} "
        "certificates.",
        "   The responders' database is exported and published.",
    )
    scene.publish("before", 1)


def _tell_what_is_lost(scene: Scene, silence: Silence, api: frozenset[str], responder: frozenset[str]) -> None:
    times, missing = scene.times, api - responder
    say(
        "",
        f"2. {clock.text(times.deployed)}: new code of the API is deployed. The sync asks what has changed since its "
        "last run, in UTC; the API",
        f"   takes that for its local time, and so for an instant {scene.offset[1:]} later, which has not come yet.",
        f"   By {clock.text(times.now)} the sync has run {silence.syncs} times without any error, and has delivered "
        f"{silence.delivered} rows.",
        "",
        f"certificates in {API:<17}  {len(api):>9,}",
        f"certificates in {RESPONDER:<17}  {len(responder):>9,}",
        f"in the first, not in the second    {len(missing):>9,}",
        f"in the second, not in the first    {len(responder - api):>9,}",
        f"issued since the deployment        {len(silence.issued):>9,}",
    )
    expect(silence.delivered == 0, f"the sync has delivered {silence.delivered:,} rows")
    expect(missing == frozenset(silence.issued.serials), "the missing serials are not those issued since")
    expect((len(missing), responder <= api) == (LOST, True), f"{LOST:,} serials are to be missing, and none too many")
    say("the missing serials are exactly those issued since the deployment")
    scene.look_up_anchor(is_known=False)
    scene.ask(silence.issued.serials, "unauthorized", ISSUED)
    scene.ask(silence.revoked, "good", REVOKED)


def _tell_what_is_refused(scene: Scene) -> None:
    say("", "3. The responders' database is exported again. No time in it is wrong, and yet it is refused.")
    for command in COMMANDS:
        errors = scene.refuse(command, "synced")
        expect({error.code for error in errors} == {"time.lag-shift"}, "it is not refused for its lag alone")
        _expect_zone(scene, errors, "time.lag-shift")
    say(
        "",
        "4. So is an export of the API's own database that says its times are UTC. What the CA has signed (anchors) "
        "and the last",
        "   generation both say otherwise.",
    )
    errors = scene.refuse("run", "mislabelled")
    codes = {error.code for error in errors}
    expect({"time.anchor-mismatch", "time.history-mismatch"} <= codes, "anchors and history do not both refuse it")
    _expect_zone(scene, errors, "time.anchor-mismatch")
    say("", "5. The zone is declared. That alone is no proof that it is the right one.")
    errors = scene.refuse("check", "unproved")
    expect({error.code for error in errors} == {"time.no-anchor"}, "the lack of an anchor is not what is refused")
    say("", "nothing was published since: commit 1 still serves")


def _tell_how_it_is_put_right(scene: Scene, silence: Silence) -> None:
    say(
        "",
        "6. With anchors, one issued certificate and the issuer's CRL, all gates pass. The lost certificates have "
        "answers again.",
    )
    scene.pass_check("declared")
    scene.publish("declared", 2)
    scene.look_up_anchor(is_known=True)
    scene.ask(silence.issued.serials, "good", ISSUED)
    scene.ask(silence.revoked, "revoked", REVOKED)


def _expect_zone(scene: Scene, errors: tuple[Finding, ...], code: str) -> None:
    """Make sure that findings of a code name the offset and the zone."""
    named = [error for error in errors if error.code == code and scene.times.zone in error.zones]
    expect(any(scene.offset in error.message for error in named), f"{code} does not name {scene.times.zone}")


def _command(command: str, path: Path) -> str:
    return f"$ pregen {command} {shlex.quote(str(path))}"


def _show_error(command: str, error: PregenError) -> None:
    findings = (replace(finding, examples=finding.examples[:EXAMPLES]) for finding in error.findings)
    say(f"\n{command}", f"error: {error.message}", *map(str, findings), f"exit code {error.exit_code}")
