"""The first step of a run: all that can be refused without reading a row.

Configuration, keys and certificates, engines, store and current generation, snapshot files, times and windows.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pregen import clock
from pregen.config import Config
from pregen.errors import MAX_EXAMPLES, ConfigError, Finding, PregenError
from pregen.gates import Acceptance, GateResult
from pregen.gates.author import Author
from pregen.gates.detector import Anchors, load_anchors
from pregen.generation.comparing.past import Past, read_past
from pregen.generation.cycles import SharedCycle, late_refresh, shared_cycles
from pregen.generation.dropping import judge_drops
from pregen.generation.left_behind import as_stored, left_behind, trouble_warning, usable_window
from pregen.generation.means import Means, SigningOptions, choose_engines, worker_count
from pregen.generation.work.memory import forbid_core_dumps
from pregen.issuers import Issuer, ending_soon, load_issuers, parse_certificate
from pregen.snapshot import CrlIssuer, Snapshot, open_snapshot
from pregen.validity import (
    Refreshing,
    ValidityWindow,
    check_run_times,
    check_store_clock,
    duration_text,
    longest_s,
    takes_s,
)
from storage.commits import Head, check_log, check_writable, find_head
from storage.reader import Generation
from storage.stores import open_store
from storage.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(SigningOptions):
    """What the command line says about one run.

    `full` says whether it signs every answer again, `resume` that it must go on where an earlier one was stopped,
    `cluster` the address of workers that take the place of this machine's, `is_delta` that the rows are some that have
    changed, on top of what is published, be that of a later instant. `why_dropped` has a reason for each of
    `drop_issuers`, or nothing where nobody says why. `tell_as_of` is told for which instant the snapshot is complete,
    before that is judged and before rows are read.
    """

    snapshot: str | None = None
    as_of: datetime | None = None
    drop_issuers: tuple[str, ...] = ()
    why_dropped: tuple[Acceptance, ...] = ()
    accept: tuple[Acceptance, ...] = ()
    full: bool = False
    resume: bool = False
    cluster: str | None = None
    is_delta: bool = False
    tell_as_of: Callable[[datetime], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Means):
    """All that a run needs, looked at and found right, before a row is read.

    `current` is the generation that is published, `past` what it left behind for the gates, and `refreshing` says what
    of it is signed again. `begun` is the clock's instant at the start; `started` may be that of ``--now``, or of an
    earlier attempt. `resume` is of the command line. `drops` says which issuers are dropped and why.
    """

    head: Head | None
    current: Generation | None
    past: Past
    anchors: Anchors
    accept: tuple[Acceptance, ...]
    author: Author | None
    full: bool
    snapshot: Snapshot
    begun: datetime
    refreshing: Refreshing
    resume: bool = False
    drops: tuple[GateResult, ...] = ()

    @property
    def expired_before(self) -> int | None:
        """Certificates whose not_after is before this instant get no answers; None: all get one."""
        kept = self.config.snapshot.keep_expired_s
        return None if kept is None else clock.seconds(self.snapshot.as_of) - kept

    @property
    def dropped(self) -> frozenset[int]:
        """Ids of the issuers that are published, and are not to be any more."""
        tables = self.current.tables.values() if self.current else ()
        stored = {issuer.issuer_id for one in tables for issuer in one.tables.issuers}
        return frozenset(stored - {issuer.issuer_id for issuer in self.issuers})

    @property
    def current_tables(self) -> dict[str, Tables]:
        """The tables of the current generation, by their names."""
        loaded = self.current.tables.values() if self.current else ()
        return {one.tables_name: one.tables for one in loaded if one.tables_name != one.name}

    @property
    def cycles(self) -> tuple[int, ...]:
        """How many periods pass until a record that is made now is due, for each issuer."""
        return tuple(
            self.refreshing.cycle(clock.seconds(window.refresh_by), clock.seconds(window.next_update))
            for window in self.windows
        )

    @property
    def shared_cycles(self) -> tuple[SharedCycle, ...]:
        """How often answers are signed, for people."""
        return shared_cycles(self.issuers, self.windows, self.refreshing)

    @property
    def took_s(self) -> int:
        """What the longest of the last runs took, this one until now among them: what the next one reckons with."""
        before = self.current.manifest.took_s if self.current else None
        return longest_s(max(0, clock.seconds(clock.now()) - clock.seconds(self.begun)), before)

    @property
    def staying(self) -> frozenset[int]:
        """Indices of the issuers that are left behind."""
        return frozenset(index for index, issuer in enumerate(self.issuers) if issuer.trouble)


def prepare(config: Config, options: RunOptions) -> Prepared:
    """Look at everything that can be wrong before a row is read.

    Raises:
        PregenError, StorageError, OSError: something is; see their exit codes.
    """
    forbid_core_dumps()
    begun = clock.now()
    started = options.now or begun
    issuers, warnings = load_issuers(config, started, leaving="anybody" if options.is_delta else "as-configured")
    choices = choose_engines(issuers, wanted := options.engine or config.run.engine)
    store = config.open_store()
    warnings += check_store_clock(clock.seconds_ahead_of(store.clock_s), store.url)
    anchors = load_anchors(config, issuers)
    head, current, drops = find_head(store), None, tuple[GateResult, ...]()
    check_log(store, head)
    if head is not None:
        check_writable(head.commit)
        current = Generation(store, head)
        if not options.is_delta:
            of_drops, drops = judge_drops(current, issuers, options.drop_issuers, options.why_dropped)
            warnings += of_drops
    snapshot = opened_snapshot(config, options, issuers, started)
    options.tell_as_of(snapshot.as_of)
    check_run_times(
        is_public=any(issuer.validity.profile.is_public for issuer in issuers),
        as_of=snapshot.as_of,
        started=started,
        clock_now=clock.now(),
        current_as_of=clock.instant(head.commit.as_of) if head and not options.is_delta else None,
    )
    issuers, windows = plan_windows(issuers, snapshot.as_of, started)
    left = left_behind(issuers, current)
    issuers = tuple(as_stored(config.path, one, current) if one.trouble else one for one in issuers)
    refreshing = _refreshing(config, started, current)
    return Prepared(
        config=config,
        issuers=issuers,
        windows=windows,
        choices=choices,
        workers=worker_count(config, options.workers),
        open_store=functools.partial(open_store, config.store),
        store=store,
        head=head,
        current=current,
        past=read_past(store, current),
        anchors=anchors,
        accept=options.accept,
        author=options.author,
        full=options.full,
        resume=options.resume,
        drops=drops,
        cluster=options.cluster,
        engine_may_differ=options.cluster is not None and wanted == "auto",
        snapshot=snapshot,
        begun=begun,
        started=started,
        refreshing=refreshing,
        left_behind=left,
        warnings=(
            *warnings,
            *trouble_warning(left, is_urgent=options.is_delta),
            *ending_soon((one for one in issuers if not one.trouble), started),
            *_capped(issuers, windows),
            *late_refresh(issuers, windows, refreshing),
        ),
    )


def _refreshing(config: Config, started: datetime, current: Generation | None) -> Refreshing:
    refresh = config.refresh
    return Refreshing(
        every_s=refresh.every_s,
        missed_runs=refresh.missed_runs,
        spread=refresh.spread,
        now=clock.seconds(started),
        takes_s=takes_s(refresh.every_s, current.manifest.took_s if current else None),
    )


def opened_snapshot(config: Config, options: RunOptions, issuers: tuple[Issuer, ...], started: datetime) -> Snapshot:
    """Return the snapshot of a configuration, its files found and its times known, before a row is read."""
    return open_snapshot(
        config.snapshot,
        config.folder,
        path=options.snapshot,
        as_of=options.as_of,
        now=started,
        issuers={name: index for index, issuer in _of_sections(issuers) for name in issuer.names},
        profiles={index: issuer.validity.profile for index, issuer in _of_sections(issuers)},
        crl_issuers=_crl_issuers(config, issuers),
        skew_s=config.gates.skew_s,
    )


def _crl_issuers(config: Config, issuers: tuple[Issuer, ...]) -> tuple[CrlIssuer, ...]:
    """Return what tells whose a CRL is, where revocations come from CRLs."""
    if config.snapshot.kind != "crl":
        return ()
    return tuple(
        CrlIssuer(
            index=index,
            name=issuer.names[0],
            subject=issuer.subject,
            public_key=parse_certificate(config.path, issuer.certificates[0]).public_key,
        )
        for index, issuer in _of_sections(issuers)
    )


def _of_sections(issuers: tuple[Issuer, ...]) -> list[tuple[int, Issuer]]:
    """Return the issuers that have rows of their own, and their indices."""
    return [(index, issuer) for index, issuer in enumerate(issuers) if not issuer.is_further_name]


def plan_windows(
    issuers: tuple[Issuer, ...], as_of: datetime, started: datetime
) -> tuple[tuple[Issuer, ...], tuple[ValidityWindow, ...]]:
    """Return the issuers with the window of each; all that cannot have one are named at once.

    Raises:
        ConfigError, GateError: as of `pregen.validity.plan_window`.
    """
    usable, findings, kinds = [], [], []
    for issuer in issuers:
        try:
            usable.append(usable_window(issuer, as_of, started))
        except PregenError as e:
            findings.append(Finding(f"window.{e.code}", "error", f"{issuer.names[0]}: {e.message}"))
            kinds.append(type(e))
    if not findings and all(issuer.trouble for issuer, _ in usable):  # nobody is left to be published
        findings = [Finding("issuer.left-behind", "error", f"{one.names[0]}: {one.trouble}") for one, _ in usable]
        kinds = [ConfigError]
    if findings:
        kind = ConfigError if ConfigError in kinds else kinds[0]
        raise kind("no window can be given to every issuer; nothing was published", findings)
    return tuple(issuer for issuer, _ in usable), tuple(window for _, window in usable)


def _capped(issuers: tuple[Issuer, ...], windows: tuple[ValidityWindow, ...]) -> tuple[Finding, ...]:
    """Warn of windows that a certificate makes shorter than the configuration wants them: what ends first, first."""
    paired = zip(issuers, windows, strict=True)
    short = [
        (issuer, window) for issuer, window in paired if window.length < issuer.validity.lifetime and not issuer.trouble
    ]
    if not short:
        return ()
    short.sort(key=lambda one: one[0].not_after)
    text = (
        "no window outlives the certificates of signer and issuer, so these are shorter than their lifetime, and newer "
        "answers are due earlier: renew the certificate that ends"
    )
    examples = tuple(
        f"{issuer.names[0]}: ends at {clock.text(issuer.not_after)}, which leaves {_rounded(window.length)} "
        f"of {duration_text(issuer.validity.lifetime)}"
        for issuer, window in short[:MAX_EXAMPLES]
    )
    return (Finding("window.capped", "warning", text, len(short), examples),)


def _rounded(span: timedelta) -> str:
    """Return a span without the part that nobody plans by: in full hours or minutes, rounded down.

    >>> _rounded(timedelta(hours=47, seconds=59)), _rounded(timedelta(seconds=119))
    ('47h', '1m')
    """
    unit = next((unit for unit in (timedelta(hours=1), timedelta(minutes=1)) if span >= unit), timedelta(seconds=1))
    return duration_text(span // unit * unit)
