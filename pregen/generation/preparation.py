"""The first step of a run: all that can be refused without reading a row.

Configuration, keys and certificates, engines, store and current generation, snapshot files, times and windows.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pregen import clock
from pregen.config import Config
from pregen.credentials import open_publish_store
from pregen.errors import ConfigError, Finding, GateError, PregenError, SigningError
from pregen.generation.memory import forbid_core_dumps
from pregen.issuers import Issuer, KeySource, load_issuers
from pregen.signers import ALGORITHMS, engine_named
from pregen.snapshot import Snapshot, open_snapshot
from pregen.validity import ValidityWindow, check_run_times, plan_window
from storage.commits import Head, check_writable, find_head
from storage.reader import Generation
from storage.stores import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says about one run; it wins over the configuration."""

    snapshot: str | None = None
    as_of: datetime | None = None
    now: datetime | None = None
    drop_issuers: tuple[str, ...] = ()
    engine: str | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a run needs, looked at and found right, before a row is read."""

    config: Config
    issuers: tuple[Issuer, ...]
    windows: tuple[ValidityWindow, ...]
    engines: dict[str, str]
    workers: int
    open_store: Callable[[], Store]
    store: Store
    head: Head | None
    snapshot: Snapshot
    started: datetime
    warnings: tuple[Finding, ...]

    @property
    def expired_before(self) -> int | None:
        """Certificates whose not_after is before this instant get no answers; None: all get one."""
        kept = self.config.snapshot.keep_expired_s
        return None if kept is None else clock.seconds(self.snapshot.as_of) - kept


def prepare(config: Config, options: RunOptions) -> Prepared:
    """Look at everything that can be wrong before a row is read.

    Raises:
        PregenError, StorageError, OSError: something is; see their exit codes.
    """
    forbid_core_dumps()
    started = options.now or clock.now()
    issuers, warnings = load_issuers(config, started)
    engines = _engines(issuers, options.engine or config.run.engine)
    open_store = functools.partial(
        open_publish_store, config.store, config.publish.s3.endpoint, config.publish.s3.region
    )
    try:
        store = open_store()
    except ValueError as e:
        raise ConfigError(f"{config.path}: publish.store or publish.s3: {e}") from None
    head = find_head(store)
    if head is not None:
        check_writable(head.commit)
        warnings += _refuse_lost_issuers(Generation(store, head), issuers, options.drop_issuers)
    names = {name: index for index, issuer in enumerate(issuers) for name in issuer.names}
    snapshot = open_snapshot(
        config.snapshot, config.folder, path=options.snapshot, as_of=options.as_of, now=started, issuers=names
    )
    check_run_times(
        profile=config.validity.profile,
        as_of=snapshot.as_of,
        started=started,
        clock_now=clock.now(),
        current_as_of=clock.instant(head.commit.as_of) if head else None,
    )
    workers = config.run.workers if options.workers is None else options.workers
    return Prepared(
        config=config,
        issuers=issuers,
        windows=_windows(config, issuers, snapshot.as_of, started),
        engines=engines,
        workers=workers or len(os.sched_getaffinity(0)),
        open_store=open_store,
        store=store,
        head=head,
        snapshot=snapshot,
        started=started,
        warnings=warnings,
    )


def _engines(issuers: tuple[Issuer, ...], name: str) -> dict[str, str]:
    """Return the engine for each algorithm that the configuration uses."""
    keys: dict[str, list[KeySource]] = {}
    for issuer in issuers:
        keys.setdefault(issuer.responder.algorithm, []).append(issuer.responder.key)
    engines = {}
    for algorithm, sources in sorted(keys.items()):
        engine = engine_named(name, ALGORITHMS[algorithm], sources[0].open)
        try:
            engine.open([source.open() for source in dict.fromkeys(sources)], ALGORITHMS[algorithm])
        except SigningError as e:
            raise ConfigError(f"engine {engine.name} cannot use the keys for {algorithm}: {e.message}") from e
        engines[algorithm] = engine.name
    return engines


def _windows(
    config: Config, issuers: tuple[Issuer, ...], as_of: datetime, started: datetime
) -> tuple[ValidityWindow, ...]:
    """Return the window of each issuer; all that cannot have one are named at once."""
    windows, findings, kinds = [], [], []
    for issuer in issuers:
        try:
            window = plan_window(
                profile=config.validity.profile,
                lifetime=config.validity.lifetime_span,
                backdate=config.validity.backdate_span,
                as_of=as_of,
                started=started,
                cap=issuer.not_after,
            )
        except PregenError as e:
            findings.append(Finding(f"window.{e.code}", "error", f"{issuer.names[0]}: {e.message}"))
            kinds.append(type(e))
        else:
            windows.append(window)
    if findings:
        kind = ConfigError if ConfigError in kinds else kinds[0]
        raise kind("no window can be given to every issuer; nothing was published", findings)
    return tuple(windows)


def _refuse_lost_issuers(
    current: Generation, issuers: tuple[Issuer, ...], dropped: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Refuse a configuration that lacks an issuer of the current commit: it may be another CA's."""
    stored = {issuer.issuer_id: issuer for one in current.tables.values() for issuer in one.tables.issuers}
    kept = {issuer.issuer_id for issuer in issuers}
    lost = {number: {issuer.label, *issuer.names} for number, issuer in stored.items() if number not in kept}
    missing = [stored[number].label for number, names in lost.items() if not names & set(dropped)]
    if missing:
        options = " ".join(f"--drop-issuer {name}" for name in missing)
        raise GateError(
            f"commit {current.commit.number} answers for {', '.join(missing)}, which the configuration lacks: "
            "publishing would make all its certificates unauthorized. Add the missing [[issuer]], use another store, "
            f"or say {options}"
        )
    unknown = set(dropped) - {name for names in lost.values() for name in names}
    return tuple(
        Finding("drop-issuer.nothing", "warning", f"--drop-issuer {name}: nothing to drop by that name")
        for name in sorted(unknown)
    )
