"""What an urgent change stands on: its issuers and their keys, the store, and what is published there now."""

import functools
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pregen import clock
from pregen.config import Config, IssuerConfig
from pregen.errors import MAX_EXAMPLES, Finding, GateError, Severity
from pregen.generation.left_behind import as_stored, left_behind, trouble_warning
from pregen.generation.means import Means, choose_engines, worker_count
from pregen.generation.preparation import Prepared, plan_windows
from pregen.generation.work.memory import forbid_core_dumps
from pregen.issuers import ending_soon, load_issuers
from pregen.urgent.elsewhere import Elsewhere, elsewhere_of
from pregen.validity import check_run_times, check_store_clock
from pregen.validity.refreshing import takes_s
from storage.commits import Head, check_log, check_writable, find_head
from storage.errors import FormatError, NothingPublishedError
from storage.history import HistoryIndex, read_index
from storage.reader import Generation
from storage.stores import Store, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground(Means):
    """What was looked at, and found right, before a certificate is looked up.

    Attributes:
        head: the newest commit.
        current: its generation.
        index: what that has left behind for gates; None: nothing that can be read.
        as_of: the instant for which the change is right.
        elsewhere: names and keys of the same CAs under which the head answers, and the change does not.
    """

    head: Head
    current: Generation
    index: HistoryIndex | None
    as_of: datetime
    elsewhere: tuple[Elsewhere, ...]

    def moved_to(self, head: Head) -> "Ground":
        """Return the same on top of a newer commit.

        Raises:
            UpgradeNeededError, FormatError, OSError: it cannot be read, or needs a newer publisher.
            GateError: it answers under further names or keys of these issuers, under which nothing was looked up.
        """
        check_writable(head.commit)
        current = Generation(self.store, head, self.current)
        if not {*elsewhere_of(self.config, current, self.issuers)} <= {*self.elsewhere}:
            raise GateError(
                f"commit {head.commit.number}, published meanwhile, answers under a further name or key of these "
                "issuers; nothing was published: say the command again"
            )
        return replace(self, head=head, current=current, index=_index(self.store, current)[0])


def take_ground(
    config: Config, sections: Sequence[IssuerConfig], started: datetime, engine: str | None, workers: int | None
) -> Ground:
    """Look at all that an urgent change of some issuers needs, and at nothing else.

    Raises:
        ConfigError, GateError: it cannot be made.
        StorageError, OSError: the store is empty or damaged, or does not answer.
    """
    forbid_core_dumps()
    issuers, warnings = load_issuers(replace(config, issuer=tuple(sections)), started, leaving="as-configured")
    check_run_times(
        is_public=any(issuer.validity.profile.is_public for issuer in issuers),
        as_of=started,
        started=started,
        clock_now=clock.now(),
        current_as_of=None,
    )
    issuers, windows = plan_windows(issuers, started, started)
    store = config.open_store()
    warnings += check_store_clock(clock.seconds_ahead_of(store.clock_s), store.url)
    head = find_head(store)
    check_log(store, head)
    if head is None:
        raise NothingPublishedError(store.url)
    check_writable(head.commit)
    current = Generation(store, head)
    left = left_behind(issuers, current)
    issuers = tuple(as_stored(config.path, one, current) if one.trouble else one for one in issuers)
    index, damage = _index(store, current)
    able = [issuer for issuer in issuers if not issuer.trouble]
    return Ground(
        config=config,
        issuers=issuers,
        windows=windows,
        choices=choose_engines(issuers, engine or config.run.engine),
        workers=worker_count(config, workers),
        open_store=functools.partial(open_store, config.store),
        store=store,
        head=head,
        current=current,
        index=index,
        as_of=started,
        started=started,
        left_behind=left,
        elsewhere=elsewhere_of(config, current, issuers),
        warnings=warnings + trouble_warning(left, is_urgent=True) + damage + ending_soon(able, started),
    )


def ground_of(prepared: Prepared) -> Ground:
    """Return the ground of a delta, of what was prepared as for a run.

    Raises:
        NothingPublishedError: there is nothing that it could be on top of.
        OSError: the store does not answer.
    """
    if prepared.head is None or prepared.current is None:
        raise NothingPublishedError(prepared.store.url)
    index, damage = _index(prepared.store, prepared.current)
    means = prepared.shared() | {"warnings": prepared.warnings + damage}
    return Ground(
        **means,
        head=prepared.head,
        current=prepared.current,
        index=index,
        as_of=prepared.snapshot.as_of,
        elsewhere=elsewhere_of(prepared.config, prepared.current, prepared.issuers),
    )


def ends_early(ground: Ground, severity: Severity, of: Container[int] | None = None) -> tuple[Finding, ...]:
    """Return what is to be said of windows that end before the commit of the next run is to be expected.

    Args:
        ground: with the windows.
        severity: of that.
        of: indices of the issuers whose windows are looked at; None: of all.
    """
    every_s = ground.config.refresh.every_s
    next_commit = clock.seconds(ground.started) + every_s + takes_s(every_s, ground.current.manifest.took_s)
    short = [
        f"{issuer.names[0]}: ends at {clock.text(window.next_update)}"
        for index, (issuer, window) in enumerate(zip(ground.issuers, ground.windows, strict=True))
        if not issuer.trouble and (of is None or index in of) and clock.seconds(window.next_update) < next_commit
    ]
    if not short:
        return ()
    text = (
        f"answers would run out before the next run makes new ones, by {clock.text(next_commit)} as is to be expected: "
        "clients would get tryLater from then on; say by every in [refresh] how often runs take place, lengthen the "
        "lifetime, or take a newer source"
    )
    return (Finding("window.before-next-run", severity, text, len(short), tuple(short[:MAX_EXAMPLES])),)


def _index(store: Store, current: Generation) -> tuple[HistoryIndex | None, tuple[Finding, ...]]:
    """Return what a generation has left behind for gates, or a warning where that cannot be read."""
    name = current.manifest.history
    if name is None:
        return None, ()
    try:
        return read_index(store, name), ()
    except (FormatError, FileNotFoundError) as e:
        text = (
            f"the history of commit {current.commit.number} cannot be read ({e}), so nobody remembers where this "
            "change came from: restore that object from a copy before the next run"
        )
        return None, (Finding("history.damaged", "warning", text),)
